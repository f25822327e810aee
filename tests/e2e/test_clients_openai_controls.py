"""What a user of the official ``openai`` client says about caching, and what the client hears."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest

from askonce import CacheSettings
from support import sites
from support.cache_status import HIT, MISS, ONLY_IF_CACHED, REFUSED_BY_CLIENT, hit_within, said
from support.sdk import SyncSdk

if TYPE_CHECKING:
    from support.sites import Site

BYPASSED = re.compile(r"askonce; fwd=bypass; detail=default-off")

Ask = Callable[..., str]


@contextmanager
def asking(site: Site, key: str = "sk-of-a-test") -> Iterator[Ask]:
    """A function that asks a question and returns what Cache-Status said."""
    sdk = SyncSdk(site.url, key)

    def ask(question: str, **options: Any) -> str:
        messages: Any = [{"role": "user", "content": question}]
        completion = sdk.client.chat.completions.create(model="text", messages=messages, **options)
        assert completion.choices[0].message.content == "Grüße, 世界! 🎉"
        return sdk.statuses[-1]

    with sdk.client:
        yield ask


@pytest.fixture
def ask(cached: Site) -> Iterator[Ask]:
    with asking(cached) as function:
        yield function


@pytest.fixture
def question(request: pytest.FixtureRequest) -> str:
    """A question that no other test asks."""
    return request.node.name


def in_body(**members: Any) -> dict[str, Any]:
    return {"extra_body": {"cache": {name.replace("_", "-"): v for name, v in members.items()}}}


def in_header(value: str) -> dict[str, Any]:
    return {"extra_headers": {"Cache-Control": value}}


@pytest.mark.parametrize("spoken", [in_body(ttl=60), in_header("ttl=60")])
def test_a_client_says_how_long(ask: Ask, question: str, spoken: dict[str, Any]) -> None:
    assert said([ask(question, **spoken), ask(question)], MISS, hit_within(60))


@pytest.mark.parametrize("spoken", [in_body(no_cache=True), in_header("no-cache")])
def test_a_client_asks_anew(ask: Ask, cached: Site, question: str, spoken: dict[str, Any]) -> None:
    ask(question)
    before = cached.provider.calls
    assert said([ask(question, **spoken), ask(question)], REFUSED_BY_CLIENT, HIT)
    assert cached.provider.calls == before + 1


@pytest.mark.parametrize("spoken", [in_body(no_store=True), in_header("no-store")])
def test_a_client_leaves_no_trace(ask: Ask, question: str, spoken: dict[str, Any]) -> None:
    heard = [ask(question, **spoken), ask(question), ask(question, **spoken)]
    assert said(heard, re.compile("askonce; fwd=miss"), MISS, HIT)


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (in_body(s_maxage=600), HIT),
        (in_header("max-age=600"), HIT),
        (in_body(s_maxage=0), REFUSED_BY_CLIENT),
        (in_header("max-age=0"), REFUSED_BY_CLIENT),
        (in_header("min-fresh=7200"), REFUSED_BY_CLIENT),
    ],
)
def test_a_client_says_how_old(
    ask: Ask, question: str, spoken: dict[str, Any], expected: re.Pattern[str]
) -> None:
    assert said([ask(question), ask(question, **spoken)], MISS, expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (in_body(namespace="one"), in_body(namespace="other")),
        (in_header('namespace="one"'), in_header('namespace="other"')),
    ],
)
def test_namespaces_share_nothing(
    ask: Ask, question: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    heard = [ask(question, **spoken) for spoken in (one, other, {}, one, other, {})]
    assert said(heard, MISS, MISS, MISS, HIT, HIT, HIT)


def test_a_namespace_is_the_same_in_body_and_header(ask: Ask, question: str) -> None:
    spoken = [in_body(namespace="n"), in_header('namespace="n"')]
    assert said([ask(question, **said_so) for said_so in spoken], MISS, HIT)


def test_the_provider_never_sees_the_cache_object(ask: Ask, cached: Site, question: str) -> None:
    ask(question)
    expected = json.loads(cached.provider.bodies[-1])
    ask(question, **in_body(no_cache=True, ttl=5))
    assert json.loads(cached.provider.bodies[-1]) == expected


def test_a_cache_that_is_no_object_is_the_providers(ask: Ask, cached: Site, question: str) -> None:
    heard = [ask(question, extra_body={"cache": value}) for value in (True, False, True)]
    assert said(heard, MISS, MISS, HIT)
    assert json.loads(cached.provider.bodies[-1])["cache"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": "soon"},
        {"ttl": -1},
        {"ttl": None},
        {"s-maxage": True},
        {"no-cache": 1},
        {"no-store": "yes"},
        {"use-cache": []},
        {"namespace": 7},
        {"namespace": ""},
        {"tll": 60},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_cache_object_is_an_error_that_names_the_field(
    ask: Ask, cached: Site, wrong: dict[str, Any], stream: bool
) -> None:
    field = f"cache.{next(iter(wrong))}"
    calls, arrivals = cached.provider.calls, cached.provider.arrivals
    with pytest.raises(openai.BadRequestError) as caught:
        ask("whatever", extra_body={"cache": wrong}, stream=stream)
    assert caught.value.param == field
    assert caught.value.type == "invalid_request_error"
    assert field in caught.value.message
    assert (cached.provider.calls, cached.provider.arrivals) == (calls, arrivals + 1)


def test_only_if_cached_fails_once_and_asks_nobody(ask: Ask, cached: Site, question: str) -> None:
    """Without ``x-should-retry`` the client would send a 504 three times."""
    only = in_header("only-if-cached")
    calls, arrivals = cached.provider.calls, cached.provider.arrivals
    with pytest.raises(openai.InternalServerError) as caught:
        ask(question, **only)
    assert caught.value.status_code == 504
    assert caught.value.code == "only_if_cached"
    assert ONLY_IF_CACHED.fullmatch(caught.value.response.headers["cache-status"])
    assert (cached.provider.calls, cached.provider.arrivals) == (calls, arrivals + 1)
    assert said([ask(question), ask(question, **only)], MISS, HIT)


def test_callers_never_share_an_answer(cached: Site, question: str) -> None:
    with asking(cached, "sk-alice") as alice, asking(cached, "sk-bob") as bob:
        heard = [alice(question), bob(question), alice(question), bob(question)]
    assert said(heard, MISS, MISS, HIT, HIT)


def test_end_users_of_one_caller_never_share_an_answer(ask: Ask, question: str) -> None:
    heard = [ask(question, user=user) for user in ("alice", "bob", "alice")]
    assert said(heard, MISS, MISS, HIT)


def test_azures_deployments_and_keys_share_nothing(cached: Site, question: str) -> None:
    """Another deployment's path or another ``api-key`` makes the same body another question."""
    heard: list[str] = []
    for deployment, key in [("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")]:
        with openai.AzureOpenAI(
            azure_endpoint=cached.url,
            azure_deployment=deployment,
            api_key=key,
            api_version="2024-10-21",
        ) as client:
            messages: Any = [{"role": "user", "content": question}]
            answer = client.chat.completions.with_raw_response.create(
                model="text", messages=messages
            )
            heard.append(answer.headers["cache-status"])
    assert said(heard, MISS, MISS, MISS, HIT)


def test_callers_share_if_the_operator_says_so(no_settings: None, question: str) -> None:
    with (
        sites.cached(CacheSettings(share_between_callers=True)) as site,
        asking(site, "sk-alice") as alice,
        asking(site, "sk-bob") as bob,
    ):
        assert said([alice(question, user="alice"), bob(question, user="bob")], MISS, HIT)
        assert site.provider.calls == 1


def test_a_client_opts_in_where_the_operator_says_so(no_settings: None, question: str) -> None:
    with sites.cached(CacheSettings(mode="default_off")) as site, asking(site) as ask:
        wanted = in_body(use_cache=True)
        heard = [ask(question), ask(question, **wanted), ask(question, **wanted), ask(question)]
        assert said(heard, BYPASSED, MISS, HIT, BYPASSED)
        assert site.provider.calls == 3
