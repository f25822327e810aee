"""Who and what is kept apart."""

from __future__ import annotations

from typing import Any

import pytest

from support.asgi import (
    CHAT,
    Dictated,
    call,
    chat_body,
    completion,
    http_scope,
    wrap,
)


async def test_query_is_cached_apart_from_post() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body())
    assert (await call(cached, chat_body(), method="QUERY")).cache_status.startswith(
        "askonce; fwd=miss"
    )
    assert "hit" in (await call(cached, chat_body(), method="QUERY")).cache_status


async def test_namespaces_are_apart() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body(cache={"namespace": "a"}))
    assert "fwd=miss" in (await call(cached, chat_body())).cache_status
    in_b = [("cache-control", 'namespace="b"')]
    assert "fwd=miss" in (await call(cached, chat_body(), headers=in_b)).cache_status
    in_a = [("cache-control", 'namespace="a"')]
    assert "hit" in (await call(cached, chat_body(), headers=in_a)).cache_status
    both = await call(cached, chat_body(cache={"namespace": "a"}), headers=in_b)
    assert both.cache_status == "askonce; fwd=bypass; detail=namespace-conflict"


CREDENTIALS = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "anthropic-version",
    "anthropic-beta",
    "host",
]


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_callers_do_not_share(name: str) -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body(), headers=[(name, "a")])
    assert "fwd=miss" in (await call(cached, chat_body(), headers=[(name, "b")])).cache_status
    assert "fwd=miss" in (await call(cached, chat_body())).cache_status
    assert "hit" in (await call(cached, chat_body(), headers=[(name, "a")])).cache_status


async def test_callers_share_only_on_the_operators_word() -> None:
    app = Dictated()
    cached = wrap(app, share_between_callers=True)
    await call(cached, chat_body(user="x"), headers=[("authorization", "a")])
    shared = await call(cached, chat_body(user="y"), headers=[("authorization", "b")])
    assert "hit" in shared.cache_status


async def test_a_doubled_credential_is_bypassed() -> None:
    twice = [("authorization", "a"), ("authorization", "b")]
    answered = await call(wrap(Dictated()), chat_body(), headers=twice)
    assert answered.cache_status == "askonce; fwd=bypass; detail=doubled-credentials"


class User:
    is_authenticated = True

    def __init__(self, name: str | None) -> None:
        self.identity = name


async def test_an_authenticated_user_is_a_caller() -> None:
    app = Dictated()
    cached = wrap(app)
    for name in ("ann", "bob"):
        scope = http_scope(user=User(name))
        assert "fwd=miss" in (await call(cached, chat_body(), scope=scope)).cache_status
    scope = http_scope(user=User("ann"))
    assert "hit" in (await call(cached, chat_body(), scope=scope)).cache_status
    nameless = await call(cached, chat_body(), scope=http_scope(user=User(None)))
    assert nameless.cache_status == "askonce; fwd=bypass; detail=unknown-user"


async def test_keyed_headers_are_the_operators_to_add() -> None:
    cached = wrap(Dictated(), keyed_headers=["X-Tenant"])
    await call(cached, chat_body(), headers=[("x-tenant", "a")])
    assert "miss" in (await call(cached, chat_body(), headers=[("x-tenant", "b")])).cache_status


async def test_vary_tells_requests_apart() -> None:
    app = Dictated().says((b"vary", b"X-Lang, Accept-Encoding"))
    cached = wrap(app)
    english = [("x-lang", "en"), ("accept-encoding", "gzip")]
    await call(cached, chat_body(), headers=english)
    other = await call(cached, chat_body(), headers=[("x-lang", "de")])
    assert other.cache_status.startswith("askonce; fwd=vary-miss")
    assert "hit" in (await call(cached, chat_body(), headers=[("x-lang", "de")])).cache_status


async def test_paths_that_differ_only_before_decoding_are_apart() -> None:
    app = Dictated()
    cached = wrap(app)
    for name in (b"a%2Fb", b"a%2fb"):
        raw = b"/openai/deployments/" + name + b"/chat/completions"
        scope = http_scope("/openai/deployments/a/chat/completions") | {"raw_path": raw}
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status


async def test_a_rewritten_path_is_keyed_beside_the_one_that_was_sent() -> None:
    cached = wrap(Dictated())
    for tenant in ("a", "b"):
        raw = {"raw_path": b"/x%20y/v1/chat/completions"}
        scope = http_scope(f"/{tenant}/v1/chat/completions") | raw
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status


async def test_mounts_are_apart_whether_or_not_the_path_keeps_the_root_path() -> None:
    cached = wrap(Dictated())
    for tenant in ("/a", "/b"):
        scope = http_scope(root_path=tenant)
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status
        whole = http_scope(tenant + CHAT, root_path=tenant)
        assert "hit" in (await call(cached, chat_body(), scope=whole)).cache_status


@pytest.mark.parametrize("asked", [{}, {"metadata": {"a": "b"}}, {"user": "u"}])
async def test_an_answer_that_says_who_asked_is_not_shared(asked: dict[str, Any]) -> None:
    app = Dictated(body=(completion(metadata=None),))
    cached = wrap(app, share_between_callers=True)
    for _ in range(2):
        assert (await call(cached, chat_body(**asked))).cache_status == "askonce; fwd=miss"
