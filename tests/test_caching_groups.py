"""``caching_groups``: models that share answers, as requests through the middleware meet them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from askonce import Cache, CacheMiddleware, CacheSettings
from support.asgi import CHAT, QUESTION, STREAM, Dictated, call, http_scope

GROUPS = [["gpt-4o", "azure/gpt-4o-eu", "azure/gpt-4o-us"], ["small", "tiny"]]
AZURE = "/openai/deployments/{}/chat/completions"
TEXT = {"prompt": "hi"}
ANSWER = {"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": None}


class Router:
    """A wrapped app that is asked for one model or another."""

    def __init__(self, groups: list[list[str]] = GROUPS) -> None:
        self.app = Dictated()
        self.cached = CacheMiddleware(self.app, CacheSettings(caching_groups=groups))

    async def ask(self, model: str | None, path: str = CHAT, **options: Any) -> str:
        members = options.pop("members", {"messages": QUESTION["messages"]})
        body = members if model is None else members | {"model": model}
        return (await call(self.cached, json.dumps(body).encode(), path, **options)).cache_status


async def test_models_of_a_group_share_answers() -> None:
    router = Router()
    assert "stored" in await router.ask("gpt-4o")
    for model in GROUPS[0]:
        assert await router.ask(model) == "askonce; hit; ttl=3599"
    assert router.app.calls == 1


@pytest.mark.parametrize("model", ["small", "tiny", "gpt-4o-mini", "azure/gpt-4o"])
async def test_other_models_do_not(model: str) -> None:
    router = Router()
    await router.ask("gpt-4o")
    assert "fwd=miss" in await router.ask(model)


async def test_the_groups_name_is_no_member_of_it() -> None:
    router = Router()
    await router.ask("gpt-4o")
    for odd in (str(GROUPS[0]), ",".join(GROUPS[0]), "0"):
        assert "fwd=miss" in await router.ask(odd)


async def test_a_group_shares_across_shapes() -> None:
    router = Router()
    router.app.streams(*STREAM)
    streamed = {"messages": QUESTION["messages"], "stream": True}
    await router.ask("gpt-4o", members=streamed)
    assert "hit" in await router.ask("azure/gpt-4o-eu", members=streamed)


async def test_text_completions_share_too() -> None:
    router = Router()
    whole = {"id": "1", "object": "text_completion", "created": 1, "model": "m"}
    router.app.body = (json.dumps(whole | {"choices": [ANSWER], "usage": {}}).encode(),)
    await router.ask("small", "/v1/completions", members=TEXT)
    assert "hit" in await router.ask("tiny", "/v1/completions", members=TEXT)


@pytest.mark.parametrize("groups", [GROUPS, [["azure-eu", "azure-us"]]], ids=["apart", "together"])
@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("root_path", ["", "/mounted"])
async def test_azures_deployments_share_if_they_are_listed(
    groups: list[list[str]], in_body: bool, root_path: str
) -> None:
    router = Router(groups)
    heard: list[str] = []
    for name in ("azure-eu", "azure-us"):
        path = root_path + AZURE.format(name)
        scope = http_scope(path, root_path=root_path, query_string=b"api-version=1")
        heard.append(await router.ask(name if in_body else None, scope=scope))
    assert "stored" in heard[0]
    assert ("hit" in heard[1]) is (groups is not GROUPS)


async def test_a_deployment_outside_the_group_does_not_share() -> None:
    router = Router([["azure-eu", "azure-us"]])
    await router.ask(None, AZURE.format("azure-eu"))
    assert "fwd=miss" in await router.ask(None, AZURE.format("azure-asia"))
    assert "fwd=miss" in await router.ask("azure-us")


async def test_a_body_s_model_counts_beside_the_deployment() -> None:
    router = Router([["azure-eu", "azure-us"]])
    await router.ask("one", AZURE.format("azure-eu"))
    assert "fwd=miss" in await router.ask("two", AZURE.format("azure-us"))
    assert "hit" in await router.ask("one", AZURE.format("azure-us"))


async def test_a_deployments_api_version_and_caller_still_count() -> None:
    router = Router([["azure-eu", "azure-us"]])
    await router.ask(None, AZURE.format("azure-eu"))
    path = AZURE.format("azure-us")
    assert "fwd=miss" in await router.ask(None, scope=http_scope(path, query_string=b"v=2"))
    assert "fwd=miss" in await router.ask(None, path, headers=[("api-key", "x")])
    assert "hit" in await router.ask(None, path)


async def test_callers_of_a_group_stay_apart() -> None:
    router = Router()
    await router.ask("gpt-4o", headers=[("authorization", "alice")])
    assert "fwd=miss" in await router.ask("azure/gpt-4o-eu", headers=[("authorization", "bob")])
    assert "hit" in await router.ask("azure/gpt-4o-eu", headers=[("authorization", "alice")])


def test_python_calls_of_a_group_share() -> None:
    cache = Cache(caching_groups=GROUPS)
    cache.add_cache({"a": 1}, **QUESTION | {"model": "small"})
    assert cache.get_cache(**QUESTION | {"model": "tiny"}) == {"a": 1}
    assert cache.get_cache(**QUESTION | {"model": "gpt-4o"}) is None
