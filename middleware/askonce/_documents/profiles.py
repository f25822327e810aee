"""Profiles: one file of variables per backend, to copy and edit.

They hold what an operator decides when going into production, each value with what it does.
Values bear no quotes and no comments behind them: ``docker run --env-file`` takes every
character after ``=`` literally.
"""

from __future__ import annotations

from textwrap import wrap
from typing import NamedTuple

from askonce._settings import show
from askonce._settings.names import variable
from askonce.settings import CacheSettings


class Line(NamedTuple):
    """One variable of a profile.

    Args:
        field: The field that it sets.
        text: Its value as text.
        note: What to add to the field's description here.
    """

    field: str
    text: str
    note: str = ""


class Profile(NamedTuple):
    """A file of variables.

    Args:
        title: Its first line.
        intro: For whom it is.
        lines: The variables that it sets.
        offered: Variables that it only offers, as comments.
    """

    title: str
    intro: str
    lines: tuple[Line, ...]
    offered: tuple[Line, ...]


_NAMESPACE = Line("namespace", "askonce", "Change it when answers of before must not come back.")
_TIMES = (
    Line("ttl", "3600"),
    Line("max_ttl", "86400"),
    Line("stale_if_error", "600"),
)
_REDIS = (
    _NAMESPACE,
    *_TIMES,
    Line("backend_timeout", "0.05", "A slow server costs a request no more than that."),
    Line("redis_max_connections", "100"),
    Line("max_response_bytes", "8MiB"),
)
_TLS = (
    Line("ssl", "true"),
    Line("ssl_ca_certs", "/etc/ssl/certs/ca-certificates.crt"),
    Line("ssl_certfile", "/etc/askonce/client.crt"),
    Line("ssl_keyfile", "/etc/askonce/client.key"),
)
_OFFERED = (
    Line("stale_while_revalidate", "60"),
    Line("mode", "default_off"),
    Line("keyed_headers", "x-tenant-id"),
    Line("share_between_callers", "true"),
)

PROFILES = {
    "local": Profile(
        "answers in this process's memory",
        "Nothing to install and nothing to run. Every process keeps its own answers, and a "
        "restart forgets them.",
        (
            Line("type", "local"),
            _NAMESPACE,
            *_TIMES,
            Line("memory_max_bytes", "256MiB", "Every worker process takes as much."),
            Line("memory_max_entries", "100000"),
            Line("max_response_bytes", "8MiB"),
        ),
        _OFFERED,
    ),
    "disk": Profile(
        "answers in a directory",
        "The processes of one machine share answers, and a restart keeps them. Needs the extra "
        "askonce[disk].",
        (
            Line("type", "disk"),
            Line(
                "disk_cache_dir",
                ".askonce",
                "Better an absolute path that deployments leave alone, such as "
                "/var/cache/askonce, which the server's user may write to and nobody else read.",
            ),
            Line("disk_max_bytes", "1GiB"),
            _NAMESPACE,
            *_TIMES,
            Line("backend_timeout", "0.25"),
            Line("max_response_bytes", "8MiB"),
        ),
        _OFFERED,
    ),
    "redis": Profile(
        "answers on a Redis or Valkey server",
        "All processes of all machines share answers. Needs the extra askonce[redis].",
        (
            Line("type", "redis"),
            Line("redis_url", "redis://localhost:6379/0", "With a user: redis://user:password@…"),
            *_REDIS,
        ),
        (*_TLS, Line("redis_credential_provider", "myapp.identity:provider"), *_OFFERED),
    ),
    "redis-cluster": Profile(
        "answers on a Redis Cluster",
        "All processes share answers, and the keys are spread over many servers. Needs the extra "
        "askonce[redis].",
        (
            Line("type", "redis"),
            Line("redis_startup_nodes", '[{"host":"10.0.0.1","port":6379}]', "One is enough."),
            *_REDIS,
        ),
        (Line("username", "askonce"), Line("password", "change-me"), *_TLS, *_OFFERED),
    ),
    "redis-sentinel": Profile(
        "answers on Redis behind Sentinels",
        "All processes share answers; where the primary fails, its successor is found. Needs the "
        "extra askonce[redis].",
        (
            Line("type", "redis"),
            Line("sentinel_nodes", '[["10.0.0.1",26379],["10.0.0.2",26379],["10.0.0.3",26379]]'),
            Line("service_name", "mymaster"),
            *_REDIS,
        ),
        (Line("username", "askonce"), Line("password", "change-me"), *_TLS, *_OFFERED),
    ),
    "dual": Profile(
        "answers in memory, and on Redis behind it",
        "What is asked for often is answered from memory, the rest from Redis; what one process "
        "deletes, every other forgets. Needs the extra askonce[redis].",
        (
            Line("type", "dual"),
            Line("redis_url", "redis://localhost:6379/0", "With a user: redis://user:password@…"),
            Line("default_in_memory_ttl", "600"),
            Line("memory_max_bytes", "256MiB", "Every worker process takes as much."),
            *_REDIS,
        ),
        (*_TLS, *_OFFERED),
    ),
    "s3": Profile(
        "answers in a bucket",
        "For answers that are dear and many: storage costs little and a look-up some tens of "
        "milliseconds. Needs the extra askonce[s3].",
        (
            Line("type", "s3"),
            Line("s3_bucket_name", "my-answers"),
            Line("s3_region_name", "eu-central-1"),
            Line("s3_path", "askonce"),
            _NAMESPACE,
            *_TIMES,
            Line("backend_timeout", "1"),
            Line("max_response_bytes", "8MiB"),
        ),
        (
            Line("s3_endpoint_url", "http://localhost:8333"),
            Line("s3_config", '{"s3":{"addressing_style":"path"}}'),
            *_OFFERED,
        ),
    ),
}
"""File name without ``.env`` to profile, one for every backend that this version has."""


def render(profile: Profile) -> str:
    """Write a profile as the text of its file."""
    title = [
        f"# askonce: {profile.title}",
        "#",
        *_comment(profile.intro),
        "#",
        *_comment("Copy it to .env, or read it with  docker run --env-file  or systemd's "
                  "EnvironmentFile=. All settings: REFERENCE.md beside this directory."),
    ]  # fmt: skip
    set_lines = [_block(line, "") for line in profile.lines]
    offered = [_block(line, "# ") for line in profile.offered]
    return "\n\n".join(["\n".join(title), *set_lines, "# --- To consider ---", *offered]) + "\n"


def _block(line: Line, prefix: str) -> str:
    field = CacheSettings.model_fields[line.field]
    said = " ".join(filter(None, [field.description, line.note, f"({show.words(field)})"]))
    comment = _comment(said.replace("`", ""))
    return "\n".join([*comment, f"{prefix}{variable(line.field)}={line.text}"])


def _comment(text: str) -> list[str]:
    return wrap(text, 98, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
