"""The fields of the settings but the backends' own: name, kind, default, what each one does.

Field ``x`` is the variable ``ASKONCE_X`` and the parameter ``x``. The names are those of
LiteLLM's cache where it has one. The description of a field is the only one there is: the
reference and the JSON schema repeat it, as they do a group's docstring.
"""

from __future__ import annotations

from typing import Any

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings

from askonce._settings import kinds, lists, values


def _mib(number: int) -> Any:
    return ByteSize(number * 1024 * 1024)


class What(BaseSettings):
    """What is cached."""

    type: kinds.BackendType = Field(
        "local",
        description="Where answers are kept: `local` in this process's memory, `disk` in a "
        "directory that the processes of one machine share, `redis` on a Redis or Valkey server, "
        "cluster or behind Sentinels, `s3` in a bucket, `dual` in memory before Redis.",
    )
    mode: kinds.ModeName = Field(
        "default_on",
        description="`default_off` caches only for requests that ask for it with `use-cache`.",
    )
    supported_call_types: lists.CallTypes = Field(
        values.here("supported_call_types"),
        description="The APIs whose answers are cached; a name and its `a…` twin (`acompletion`) "
        "are the same. Requests to the others pass untouched.",
    )
    routes: lists.Routes = Field(
        {},
        description="Paths of your own on which an API answers, beside the usual ones. A path "
        "matches exactly and without its query.",
    )
    namespace: kinds.Text = Field(
        "askonce",
        description="Goes before every key: applications that share a backend keep apart by it. "
        "A client's namespace nests inside this one.",
    )
    caching_groups: lists.Groups = Field(
        (),
        description="Models that share answers: within a group, an answer of one serves requests "
        "for the others. No model may be in two groups.",
    )


class HowLong(BaseSettings):
    """How long answers are fresh."""

    ttl: kinds.Seconds = Field(
        3600.0, description="For how long a stored answer is fresh, unless the client says."
    )
    max_ttl: kinds.Seconds | None = Field(
        None, description="The longest ttl there is: it caps a client's, and `ttl` itself."
    )
    default_in_memory_ttl: kinds.Seconds | None = Field(
        None,
        description="Replaces `ttl` where that is not set and `type` is `local`; under `dual`, "
        "the longest that an answer stays in memory.",
    )
    default_in_redis_ttl: kinds.Seconds | None = Field(
        None, description="Replaces `ttl` where that is not set and `type` is one on Redis."
    )
    stale_while_revalidate: kinds.Seconds = Field(
        0.0,
        description="For how long after its ttl an answer is still served at once, while a new "
        "one is fetched behind it (RFC 5861, section 3). 0: never.",
    )
    stale_if_error: kinds.Seconds = Field(
        0.0,
        description="For how long after its ttl an answer is still served if the application "
        "fails (RFC 5861, section 4). 0: never.",
    )


class WhoShares(BaseSettings):
    """Who shares answers."""

    share_between_callers: kinds.Flag = Field(
        default=False,
        description="Serve one caller's answers to another. Set it only where who may ask is "
        "checked before requests come here: a hit never reaches the application.",
    )
    keyed_headers: lists.HeaderNames = Field(
        (),
        description="Request headers that are part of the key beside the documented ones. Name "
        "the one that says who calls, or which tenant, if it is a header of your own.",
    )
    caller_id: kinds.ImportPath | None = Field(
        None,
        description="A function that says who calls: it gets the ASGI scope and returns a text, "
        "which is part of the key.",
    )
    ignored_params: lists.Params = Field(
        (),
        description="Members of the request's JSON body that are left out of the key beside the "
        "documented ones, because they do not change the answer.",
    )
    ignored_set_cookies: lists.CookieNames = Field(
        ("__cf_bm", "_cfuvid", "__cflb"),
        description="Cookies that an answer may set and be stored all the same; they go to the "
        "first caller alone. An answer that sets another one is not stored.",
    )
    cache_hosted_tools: kinds.Flag = Field(
        default=False,
        description="Cache answers for which the provider ran tools of its own, such as a web "
        "search; their results change with time.",
    )


class WhatIsKept(BaseSettings):
    """What is kept."""

    cacheable_statuses: lists.Statuses = Field(
        (200,), description="Answers with another status are not stored."
    )
    respect_response_cache_control: kinds.RespectName = Field(
        "auto",
        description="How far the answer's own `Cache-Control` counts. `auto`: what forbids or "
        "shortens storing does, a bare `no-cache` does not, since providers send it with "
        "everything. `always`: as RFC 9111 says. `never`: not at all.",
    )
    max_request_bytes: kinds.Bytes = Field(
        _mib(32), description="A request with a longer body goes on to the application uncached."
    )
    max_response_bytes: kinds.Bytes = Field(
        _mib(8), description="An answer with a longer body is not stored."
    )
    memory_max_entries: kinds.Count = Field(
        100_000, description="How many answers the memory keeps; the least useful ones go first."
    )
    memory_max_bytes: kinds.Bytes = Field(
        _mib(256), description="How much the answers kept in memory may weigh, per process."
    )


class AtTheSameTime(BaseSettings):
    """What happens at the same time."""

    coalesce: kinds.CoalesceName = Field(
        "off",
        description="Who joins a running request that asks the same. `off`: nobody, each one "
        "asks the application.",
    )
    coalesce_timeout: kinds.Seconds = Field(
        60.0, description="For how long one waits for the request that it joined."
    )
    backend_timeout: kinds.Seconds | None = Field(
        None,
        description="For how long a backend may take; after that the request is a miss. Not "
        "set: 0.05 for `redis` and `dual`, 0.25 for `disk`, 1 for `s3`, none for `local`.",
    )


class WhatIsSeen(BaseSettings):
    """What is seen."""

    expose_key: kinds.Flag = Field(
        default=False,
        description="Show the key in `Cache-Status`, to find out why two requests differ.",
    )
    admin_token: kinds.Secret | None = Field(
        None, description="The bearer token of the operator's endpoints."
    )
    mark_hits: kinds.Flag = Field(
        default=False,
        description="Add `cache: true` to a dict that a wrapped Python call gets from the cache.",
    )
    log_content: kinds.Flag = Field(
        default=False, description="Write what was asked and answered to the log."
    )
