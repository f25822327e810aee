"""Who and what is kept apart."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

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


if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from askonce import CacheMiddleware


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


@pytest.mark.parametrize("path", ["", "/a", "/b"])
async def test_mounts_are_apart_whatever_their_paths_begin_with(path: str) -> None:
    cached = wrap(Dictated())
    for tenant in ("", "/", "/a", "/b", "/v", "/v1"):
        scope = http_scope(path + CHAT, root_path=tenant)
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status
        assert "hit" in (await call(cached, chat_body(), scope=scope)).cache_status


async def test_a_path_whose_mount_makes_it_another_call_is_read_anew() -> None:
    routes = {"/custom": "completion", "/v1/custom": "text_completion"}
    cached = wrap(Dictated(), routes=routes)
    first = http_scope("/custom", root_path="/v1")
    assert "miss" in (await call(cached, chat_body(), scope=first)).cache_status
    body = b'{"model": "m", "prompt": "hi", "messages": []}'
    for scope in (http_scope("/custom"), http_scope("/v1/custom")):
        assert "miss" in (await call(cached, body, scope=scope)).cache_status


async def test_the_operators_rule_and_the_key_see_headers_that_come_as_an_iterator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tenant(scope: dict[str, Any]) -> str:
        return dict(scope["headers"]).get(b"x-tenant", b"").decode()

    monkeypatch.setitem(sys.modules, "own_rules", SimpleNamespace(tenant=tenant))
    cached = wrap(Dictated(), caller_id="own_rules:tenant")
    for token in (b"Bearer a", b"Bearer b"):
        scope = http_scope()
        scope["headers"] = iter([*scope["headers"], (b"authorization", token)])
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status


async def grown(app: CacheMiddleware, asked: Iterable[tuple[Scope, bytes]]) -> int:
    """Bytes that stay in memory after many requests."""
    await call(app, chat_body())
    tracemalloc.start()
    for scope, body in asked:
        await call(app, body, scope=scope)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size


async def test_strangers_header_fields_are_forgotten_again() -> None:
    async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
        await Dictated()(scope, receive, send)

    cached = wrap(forgetful, memory_max_bytes=10_000)
    cookies = (http_scope(headers=[("cookie", f"{n}{'x' * 60_000}")]) for n in range(500))
    assert await grown(cached, ((scope, chat_body(n=1)) for scope in cookies)) < 12_000_000


async def test_wrong_cache_objects_are_forgotten_again() -> None:
    cached = wrap(Dictated())
    wrong = {"x": [[]] * 30_000}
    bodies = (chat_body(cache=wrong, seed=number) for number in range(20))
    assert await grown(cached, ((http_scope(), body) for body in bodies)) < 12_000_000


async def test_an_endless_namespace_is_none() -> None:
    cached = wrap(Dictated())
    refused = await call(cached, chat_body(cache={"namespace": "x" * 257}))
    assert refused.status == 400
    assert "256" in refused.json["error"]["message"]
    told = await call(cached, chat_body(), headers=[("cache-control", f"namespace={'x' * 257}")])
    assert told.cache_status == "askonce; fwd=bypass; detail=namespace-conflict"
    assert "miss" in (await call(cached, chat_body(cache={"namespace": "x" * 256}))).cache_status


@pytest.mark.parametrize("asked", [{}, {"metadata": {"a": "b"}}, {"user": "u"}])
async def test_an_answer_that_says_who_asked_is_not_shared(asked: dict[str, Any]) -> None:
    app = Dictated(body=(completion(metadata=None),))
    cached = wrap(app, share_between_callers=True)
    for _ in range(2):
        assert (await call(cached, chat_body(**asked))).cache_status == "askonce; fwd=miss"
