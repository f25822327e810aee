"""Parts of a cache that a user replaced, as requests through the middleware meet them."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from msgspec.structs import replace

from askonce import Cache, CacheMiddleware, cached_call
from askonce.caching import _replaced
from askonce.entry import Entry
from support.asgi import (
    CHAT,
    DONE,
    QUESTION,
    Answered,
    Dictated,
    call,
    chat_body,
    completion,
    http_scope,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Api(NamedTuple):
    """One call type: where it answers, and how it asks and answers."""

    call_type: str
    path: str
    question: dict[str, Any]
    answer: bytes
    stream: tuple[bytes, ...]


def event(choice: dict[str, Any], kind: str) -> bytes:
    whole = {"id": "1", "object": kind, "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


def text_answer(text: str) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
    whole = {"id": "1", "object": "text_completion", "created": 1, "model": "m"}
    return json.dumps(whole | {"choices": [choice], "usage": {"total_tokens": 2}}).encode()


def delta(content: str | None, finish: str | None = None) -> bytes:
    said = {"role": "assistant", "content": content} if content else {}
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return event(choice, "chat.completion.chunk")


def piece(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": None}
    return event(choice, "text_completion")


APIS = [
    Api(
        "completion",
        CHAT,
        QUESTION,
        completion(),
        (delta("hel"), delta("lo"), delta(None, "stop"), DONE),
    ),
    Api(
        "text_completion",
        "/v1/completions",
        {"model": "m", "prompt": "hi"},
        text_answer("hello"),
        (piece("hel"), piece("lo", "stop"), DONE),
    ),
]
every_api = pytest.mark.parametrize("api", APIS, ids=[api.call_type for api in APIS])


def as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    async def replacement(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return replacement


def as_object(function: Callable[..., Any]) -> Any:
    """An object whose call is async, which only its result shows."""

    class Replacement:
        async def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

    return Replacement()


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


every_kind = pytest.mark.parametrize("kind", [as_it_is, as_async, as_object])


class Desk:
    """A wrapped app, and a cache to replace parts of."""

    def __init__(self, api: Api = APIS[0], cache: Cache | None = None, **settings: Any) -> None:
        self.api = api
        self.app = Dictated(body=(api.answer,))
        self.cache = cache or Cache(**settings)
        self.cached = CacheMiddleware(self.app, cache=self.cache)

    async def ask(self, path: str = "", /, headers: Any = (), **members: Any) -> Answered:
        body = json.dumps(self.api.question | members).encode()
        return await call(self.cached, body, path or self.api.path, headers=headers)


class Shelf:
    """Answers kept by hand: what replacements were given, and what they return."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.added: list[tuple[Any, dict[str, Any]]] = []
        self.asked: list[dict[str, Any]] = []

    def add(self, result: Any, **fields: Any) -> None:
        self.added.append((result, fields))
        self.kept[self.name(fields)] = result

    def get(self, **fields: Any) -> Any:
        self.asked.append(fields)
        return self.kept.get(self.name(fields))

    @staticmethod
    def name(fields: dict[str, Any]) -> str:
        fields = {name: value for name, value in fields.items() if name != "stream"}
        return json.dumps(fields, sort_keys=True)


# ---- keys


@every_api
@every_kind
async def test_a_replaced_key_decides_which_bodies_share(api: Api, kind: Any) -> None:
    desk = Desk(api)
    desk.cache.get_cache_key = kind(lambda **fields: fields["model"])
    await desk.ask(user="alice", seed=1)
    again = await desk.ask(user="bob", seed=2)
    assert again.cache_status == "askonce; hit; ttl=3599"
    assert (await desk.ask(model="other")).cache_status == "askonce; fwd=miss; stored"
    assert desk.app.calls == 2


@every_api
async def test_a_replaced_key_gets_the_bodys_fields_with_call_type_and_path(api: Api) -> None:
    desk, seen = Desk(api), []
    desk.cache.get_cache_key = lambda **fields: seen.append(fields) or "key"
    said = {"ttl": 60, "namespace": "mine"}
    await desk.ask(temperature=0.5, seed=2**70, cache=said, headers=[("authorization", "Bearer x")])
    fields = api.question | {"temperature": 0.5, "seed": 2**70}
    assert seen == [fields | {"call_type": api.call_type, "path": api.path}]
    assert type(seen[0]["temperature"]) is float


async def test_a_replaced_key_gets_the_fields_of_a_compressed_body() -> None:
    desk = Desk()
    desk.cache.get_cache_key = lambda **fields: fields["messages"][0]["content"]
    body = gzip.compress(json.dumps(QUESTION).encode())
    scope = http_scope(headers=[("content-encoding", "gzip")])
    for _ in range(2):
        answered = await call(desk.cached, body, scope=scope)
    assert "hit" in answered.cache_status


@pytest.mark.parametrize(
    ("path", "other"),
    [
        (CHAT, {"headers": [("authorization", "Bearer bob")]}),
        (CHAT, {"headers": [("openai-project", "two")]}),
        (CHAT, {"cache": {"namespace": "theirs"}}),
        ("/v1/openai/chat/completions", {}),
    ],
    ids=repr,
)
async def test_caller_place_and_namespace_stay_around_a_replaced_key(path: str, other: Any) -> None:
    desk = Desk()
    desk.cache.get_cache_key = lambda **_: "always the same"
    await desk.ask()
    assert "fwd=miss" in (await desk.ask(path, **other)).cache_status
    assert "hit" in (await desk.ask()).cache_status


async def test_call_types_do_not_share_a_replaced_key() -> None:
    desk = Desk(routes={"/v1/own": "text_completion"})
    desk.cache.get_cache_key = lambda **_: "always the same"
    keys = set()
    desk.cached._handler._expose_key = True
    for api in APIS:
        body = json.dumps(api.question).encode()
        answered = await call(desk.cached, body, api.path)
        keys.add(answered.cache_status.split("key=")[1])
    assert len(keys) == 2


async def test_a_text_is_not_the_digest_of_a_body() -> None:
    plain, custom = Desk(), Desk(cache=(cache := Cache()))
    custom.cached._handler._expose_key = plain.cached._handler._expose_key = True
    cache.get_cache_key = lambda **_: "text"
    assert (await plain.ask()).cache_status != (await custom.ask()).cache_status


def raises(**fields: Any) -> str:
    raise RuntimeError(fields)


@pytest.mark.parametrize("broken", [raises, as_async(raises), lambda **_: None, lambda **_: b"x"])
async def test_a_key_that_cannot_be_made_is_a_bypass(
    broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.cache.get_cache_key = broken
    for _ in range(2):
        answered = await desk.ask()
        assert answered.cache_status == "askonce; fwd=bypass; detail=custom-key-failed"
        assert (answered.status, answered.body) == (200, desk.api.answer)
    assert desk.app.calls == 2
    assert desk.cache.stats().errors == 2
    assert len(caplog.messages) == 1
    assert "get_cache_key" in caplog.text
    assert "hi" not in caplog.text


async def test_without_a_key_nothing_is_in_the_cache() -> None:
    desk = Desk()
    desk.cache.get_cache_key = raises
    answered = await desk.ask(headers=[("cache-control", "only-if-cached")])
    assert answered.status == 504


@pytest.mark.parametrize("name", ["call_type", "path", "caller", "cache"])
async def test_a_body_with_a_field_that_looks_like_ours_is_not_cached(name: str) -> None:
    desk, seen = Desk(), []
    desk.cache.get_cache_key = lambda **fields: seen.append(fields) or "key"
    answered = await desk.ask(**{name: "theirs"})
    assert answered.cache_status == "askonce; fwd=bypass; detail=reserved-member"
    assert seen == []


async def test_a_sync_part_does_not_hold_up_the_event_loop() -> None:
    desk, threads = Desk(), []

    def key(**_: Any) -> str:
        threads.append(threading.current_thread())
        return "key"

    desk.cache.get_cache_key = key
    await desk.ask()
    assert threads != [threading.main_thread()]


# ---- replacements that would end, or hold up, more than themselves


def raising(error: type[BaseException]) -> Callable[..., Any]:
    def part(*_: Any, **__: Any) -> Any:
        raise error

    return part


PARTS = {
    "get_cache_key": "askonce; fwd=bypass; detail=custom-key-failed",
    "get_cache": "askonce; fwd=miss; detail=backend-error",
    "add_cache": "askonce; fwd=miss",
}
every_part = pytest.mark.parametrize("part", PARTS)


@every_part
@pytest.mark.parametrize("kind", [as_it_is, as_async, as_object])
@pytest.mark.parametrize(
    "error", [StopIteration, asyncio.CancelledError, SystemExit, GeneratorExit]
)
async def test_whatever_a_part_raises_it_alone_has_failed(
    part: str, kind: Any, error: type[BaseException]
) -> None:
    desk = Desk()
    setattr(desk.cache, part, kind(raising(error)))
    answered = await asyncio.wait_for(desk.ask(), 30)
    assert answered.cache_status.startswith(PARTS[part])
    assert answered.body == desk.api.answer
    await asyncio.wait_for(desk.cache.drain(), 30)
    assert desk.cache.stats().errors == 1


async def test_what_a_part_raised_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.cache.get_cache_key = raising(SystemExit)
    await desk.ask()
    assert "get_cache_key failed, served uncached: it raised SystemExit" in caplog.text


@pytest.mark.parametrize("part", ["get_cache_key", "get_cache"])
async def test_a_request_that_is_cancelled_in_a_part_ends(part: str) -> None:
    desk, begun = Desk(), asyncio.Event()

    async def hang(**_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    setattr(desk.cache, part, hang)
    request = asyncio.create_task(desk.ask())
    await asyncio.wait_for(begun.wait(), 30)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (desk.app.calls, desk.cache.stats().errors) == (0, 0)


def test_a_call_that_is_thrown_away_with_its_loop_ends_quietly() -> None:
    async def wait() -> None:
        await asyncio.sleep(0)

    called = _replaced.call(wait, 60.0)

    async def begin() -> None:
        called.send(None)

    asyncio.run(begin())
    called.close()
    assert inspect.getcoroutinestate(called) == inspect.CORO_CLOSED


@every_part
@pytest.mark.parametrize("limit", [None, 0.001])
async def test_a_part_that_takes_too_long_has_failed(
    part: str, limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    if limit is None:
        monkeypatch.setattr("askonce.caching._replaced.LIMIT_SECONDS", 0.001)
    desk = Desk(backend_timeout=limit)
    setattr(desk.cache, part, hang)
    answered = await asyncio.wait_for(desk.ask(), 30)
    assert answered.cache_status.startswith(PARTS[part])
    await asyncio.wait_for(desk.cache.drain(), 30)
    assert desk.cache.stats().errors == 1


async def test_a_sync_part_that_takes_too_long_has_failed() -> None:
    desk, gate = Desk(backend_timeout=0.001), threading.Event()
    desk.cache.get_cache_key = lambda **_: gate.wait(30)
    answered = await asyncio.wait_for(desk.ask(), 30)
    gate.set()
    assert answered.cache_status == PARTS["get_cache_key"]


# ---- answers kept elsewhere


@every_api
@every_kind
@pytest.mark.parametrize("stream", [False, True])
async def test_a_replaced_add_cache_gets_the_assembled_answer(
    api: Api, kind: Any, stream: bool
) -> None:
    desk, shelf = Desk(api), Shelf()
    desk.cache.add_cache = kind(shelf.add)
    if stream:
        desk.app.streams(*api.stream)
        await desk.ask(stream=True)
    else:
        await desk.ask()
    [(result, fields)] = shelf.added
    said = result["choices"][0]
    assert said.get("text") or said["message"]["content"] == "hello"
    assert said["finish_reason"] == "stop"
    asked = api.question | ({"stream": True} if stream else {})
    assert fields == asked | {"call_type": api.call_type, "path": api.path}
    assert len(desk.cache.backend) == 0


@every_api
@every_kind
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("asked", [False, True])
async def test_what_was_added_by_hand_serves_both_shapes(
    api: Api, kind: Any, added: bool, asked: bool
) -> None:
    desk, shelf = Desk(api), Shelf()
    desk.cache.add_cache, desk.cache.get_cache = kind(shelf.add), kind(shelf.get)
    if added:
        desk.app.streams(*api.stream)
    first = await desk.ask(**({"stream": True} if added else {}))
    assert first.cache_status.startswith("askonce; fwd=miss")
    again = await desk.ask(**({"stream": True} if asked else {}))
    assert desk.app.calls == 1
    assert again.cache_status == "askonce; hit; ttl=3599"
    assert (again.status, again.all("age")) == (200, ["0"])
    if asked:
        assert again.all("content-type") == ["text/event-stream; charset=utf-8"]
        assert b'"hello"' in again.body
        assert again.body.endswith(DONE)
    else:
        assert again.all("content-type") == ["application/json"]
        assert again.json == shelf.added[0][0]


@every_kind
async def test_a_replaced_get_cache_may_return_an_entry(kind: Any) -> None:
    desk, now = Desk(), 1_700_000_000.0
    desk.cached._handler._clock = lambda: now + 100
    headers = ((b"content-type", b"application/json"), (b"x-own", b"1"))
    entry = Entry("k", now, 160.0, 200, headers, completion("kept"), "plain", usage_due=True)
    desk.cache.get_cache = kind(lambda **_: entry)
    answered = await desk.ask()
    assert answered.cache_status == "askonce; hit; ttl=60"
    assert answered.all("age") == ["100"]
    assert answered.all("x-own") == ["1"]
    assert answered.body == completion("kept")
    stale = await desk.ask(cache={"s-maxage": 99})
    assert stale.cache_status.startswith("askonce; fwd=request")


async def test_a_replaced_get_cache_may_return_a_pydantic_object() -> None:
    class Completion:
        def model_dump(self, mode: str) -> Any:
            return json.loads(completion(mode))

    desk = Desk()
    desk.cache.get_cache = lambda **_: Completion()
    assert (await desk.ask()).json == json.loads(completion("json"))


@every_kind
async def test_a_replaced_get_cache_that_finds_nothing_is_a_miss(kind: Any) -> None:
    desk = Desk()
    desk.cache.get_cache = kind(lambda **_: None)
    for _ in range(2):
        assert (await desk.ask()).cache_status == "askonce; fwd=miss; stored"
    assert len(desk.cache.backend) == 1
    stats = desk.cache.stats()
    assert (stats.hits, stats.misses) == (0, 2)


@pytest.mark.parametrize(
    "broken", [raises, as_async(raises), lambda **_: object(), lambda **_: float("nan")]
)
async def test_a_replaced_get_cache_that_fails_is_a_miss_with_a_reason(
    broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.cache.get_cache = broken
    for _ in range(2):
        answered = await desk.ask()
        assert answered.cache_status == "askonce; fwd=miss; detail=backend-error"
        assert answered.body == desk.api.answer
    assert desk.cache.stats().errors == 2
    assert len(caplog.messages) == 1


FILTERED = json.loads(completion().replace(b'"stop"', b'"content_filter"'))


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    "found", ["text", 5, True, [], {}, {"choices": []}, {"error": {}}, FILTERED], ids=repr
)
async def test_a_value_that_is_no_complete_answer_is_not_served(
    found: Any, inline: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not inline:
        monkeypatch.setattr("askonce.parts.INLINE_BYTES", 0)
    desk = Desk()
    desk.cache.get_cache = lambda **_: found
    answered = await desk.ask()
    assert answered.cache_status == "askonce; fwd=miss; detail=backend-error"
    assert answered.body == desk.api.answer
    assert "get_cache failed, served uncached: it returned no complete answer" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "200"},
        {"status": 99},
        {"body": "text"},
        {"body": None},
        {"headers": (("content-type", "application/json"),)},
        {"headers": 5},
        {"stored_at": None},
        {"stored_at": float("nan")},
        {"ttl": "60"},
        {"ttl": float("inf")},
        {"shape": "odd"},
        {"vary": 5},
    ],
    ids=repr,
)
async def test_an_entry_with_a_wrong_field_is_not_served(wrong: dict[str, Any]) -> None:
    right = Entry("k", time.time(), 160.0, 200, (), completion("kept"), "plain", usage_due=True)
    desk = Desk()
    desk.cache.get_cache = lambda **_: replace(right, **wrong)
    answered = await desk.ask()
    assert answered.cache_status == "askonce; fwd=miss; detail=backend-error"
    assert answered.body == desk.api.answer
    assert desk.cache.stats().errors == 1


async def test_a_replaced_get_cache_may_take_as_long_as_the_backend() -> None:
    async def hang(**_: Any) -> None:
        await asyncio.Event().wait()

    desk = Desk(backend_timeout=0.001)
    desk.cache.get_cache = hang
    answered = await asyncio.wait_for(desk.ask(), 30)
    assert answered.cache_status == "askonce; fwd=miss; detail=backend-error"


@pytest.mark.parametrize("kind", [as_it_is, as_async])
async def test_a_replaced_add_cache_that_raises_stores_nothing(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(result: Any, **_: Any) -> None:
        raise RuntimeError(result)

    desk = Desk()
    desk.cache.add_cache = kind(broken)
    for _ in range(2):
        answered = await desk.ask()
        assert (answered.status, answered.body) == (200, desk.api.answer)
        assert "fwd=miss" in answered.cache_status
    assert desk.cache.stats().errors == 2
    assert "add_cache failed" in caplog.text


async def test_a_stream_that_cannot_be_assembled_is_not_added() -> None:
    desk, shelf = Desk(), Shelf()
    desk.cache.add_cache = shelf.add
    odd = delta("a").replace(b'"role": "assistant"', b'"role": "tool", "odd": "x"')
    desk.app.streams(delta("b"), odd, delta(None, "stop"), DONE)
    await desk.ask(stream=True)
    assert shelf.added == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", [{"no-store": True}, {"no-cache": True}], ids=repr)
async def test_a_client_is_heard_whatever_is_replaced(said: dict[str, bool], stream: bool) -> None:
    desk, shelf = Desk(), Shelf()
    if stream:
        desk.app.streams(*APIS[0].stream)
    desk.cache.add_cache, desk.cache.get_cache = shelf.add, shelf.get
    shelf.kept[Shelf.name(QUESTION | {"call_type": "completion", "path": CHAT})] = json.loads(
        completion("kept")
    )
    assert (await desk.ask()).json == json.loads(completion("kept"))
    await desk.ask(cache=said, **({"stream": True} if stream else {}))
    assert desk.app.calls == 1
    assert len(shelf.added) == (0 if "no-store" in said else 1)


async def test_an_incomplete_answer_is_not_added() -> None:
    desk, shelf = Desk(), Shelf()
    desk.cache.add_cache = shelf.add
    desk.app.body = (completion().replace(b'"stop"', b'"content_filter"'),)
    await desk.ask()
    assert shelf.added == []


async def test_an_answer_is_found_while_it_is_being_added() -> None:
    desk, shelf = Desk(), Shelf()
    ready, begun = asyncio.Event(), asyncio.Event()

    async def add(result: Any, **fields: Any) -> None:
        begun.set()
        await ready.wait()
        shelf.add(result, **fields)

    desk.cache.add_cache, desk.cache.get_cache = add, shelf.get
    first = asyncio.create_task(desk.ask())
    await asyncio.wait_for(begun.wait(), 30)
    second = await asyncio.wait_for(desk.ask(), 30)
    assert second.cache_status == "askonce; hit; ttl=3599"
    draining = asyncio.create_task(desk.cache.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    ready.set()
    await draining
    assert len(shelf.added) == 1
    await first


async def test_a_replaced_key_is_good_for_a_backend_that_waits(tmp_path: Path) -> None:
    desk = Desk(type="disk", disk_cache_dir=tmp_path, backend_timeout=30)
    desk.cache.get_cache_key = lambda **fields: fields["model"]
    desk.app.streams(*APIS[0].stream)
    await desk.ask(stream=True, seed=1)
    assert "hit" in (await desk.ask(stream=True, seed=2)).cache_status
    await desk.cache.disconnect()


async def test_long_answers_and_bodies_are_read_in_threads(monkeypatch: Any) -> None:
    monkeypatch.setattr("askonce.parts.INLINE_BYTES", 10)
    desk, shelf = Desk(), Shelf()
    desk.cache.add_cache, desk.cache.get_cache = shelf.add, shelf.get
    desk.app.streams(*APIS[0].stream)
    await desk.ask(stream=True)
    assert "hit" in (await desk.ask()).cache_status


async def test_an_answer_that_is_added_by_hand_does_not_replace_a_richer_one() -> None:
    desk, shelf = Desk(), Shelf()
    await desk.ask()
    desk.cache.add_cache = shelf.add
    desk.app.streams(*APIS[0].stream)
    await desk.ask(stream=True, cache={"no-cache": True})
    assert shelf.added == []


# ---- who asks is told to those that find and add on their own


async def test_those_who_add_and_find_can_tell_callers_apart() -> None:
    desk, shelf = Desk(), Shelf()
    desk.cache.add_cache, desk.cache.get_cache = shelf.add, shelf.get
    secret = [("authorization", "Bearer secret")]
    await desk.ask(headers=secret)
    assert "hit" in (await desk.ask(headers=secret)).cache_status
    assert "fwd=miss" in (await desk.ask(headers=[("authorization", "Bearer o")])).cache_status
    assert "fwd=miss" in (await desk.ask()).cache_status
    callers = [fields.get("caller") for _, fields in shelf.added]
    assert len(set(callers)) == 3
    assert "secret" not in str(shelf.added)


async def test_those_who_add_and_find_hear_what_the_client_said() -> None:
    desk, shelf = Desk(), Shelf()
    desk.cache.add_cache = shelf.add
    await desk.ask(cache={"ttl": 5, "namespace": "x"}, headers=[("cache-control", "max-age=9")])
    assert shelf.added[0][1]["cache"] == {"ttl": 5.0, "namespace": "x", "s-maxage": 9.0}


async def test_a_subclass_that_asks_its_base_mixes_up_nobodys_answers() -> None:
    class Mine(Cache):
        def get_cache(self, **kwargs: Any) -> Any:
            return super().get_cache(**kwargs)

        def add_cache(self, result: Any, **kwargs: Any) -> None:
            super().add_cache(result, **kwargs)

    desk = Desk(cache=Mine())
    alice, bob = [("authorization", "a")], [("authorization", "b")]
    await desk.ask(headers=alice)
    assert "hit" in (await desk.ask(headers=alice)).cache_status
    for other in ({"headers": bob}, {}, {"headers": alice, "cache": {"namespace": "x"}}):
        assert "fwd=miss" in (await desk.ask(**other)).cache_status


# ---- how parts are replaced


async def test_a_subclass_may_make_keys() -> None:
    class Mine(Cache):
        def get_cache_key(self, **kwargs: Any) -> str:
            return str(kwargs["model"])

    desk = Desk(cache=Mine())
    await desk.ask(seed=1)
    assert "hit" in (await desk.ask(seed=2)).cache_status


async def test_a_subclass_may_refine_the_cache_s_own_key() -> None:
    class Mine(Cache):
        def get_cache_key(self, **kwargs: Any) -> str:
            kwargs.pop("seed", None)
            return super().get_cache_key(**kwargs)

    desk = Desk(cache=Mine())
    await desk.ask(seed=1)
    assert "hit" in (await desk.ask(seed=2)).cache_status
    assert "fwd=miss" in (await desk.ask(model="other")).cache_status


async def test_a_subclass_may_replace_the_asynchronous_methods() -> None:
    shelf = Shelf()

    class Mine(Cache):
        async def async_get_cache(self, **kwargs: Any) -> Any:
            return shelf.get(**kwargs)

        async def async_add_cache(self, result: Any, **kwargs: Any) -> None:
            shelf.add(result, **kwargs)

    desk = Desk(cache=Mine())
    await desk.ask()
    assert "hit" in (await desk.ask()).cache_status
    assert len(shelf.added) == 1


async def test_a_part_may_be_replaced_and_put_back_while_the_app_runs() -> None:
    desk = Desk()
    await desk.ask(seed=1)
    desk.cache.get_cache_key = lambda **_: "key"
    assert "fwd=miss" in (await desk.ask(seed=1)).cache_status
    del desk.cache.get_cache_key
    assert desk.cache.replaced is None
    assert "hit" in (await desk.ask(seed=1)).cache_status


def test_setting_a_part_to_what_it_was_replaces_nothing() -> None:
    cache = Cache()
    assert cache.replaced is None
    cache.get_cache = cache.get_cache
    cache.anything = 1
    del cache.anything
    assert cache.replaced is None


# ---- Python callers


@pytest.mark.parametrize("kind", [as_it_is, as_async])
async def test_a_replaced_key_makes_the_key_of_python_calls_too(kind: Any) -> None:
    cache, seen = Cache(), []
    cache.get_cache_key = kind(lambda **fields: seen.append(fields) or fields["model"])
    await cache.async_add_cache({"a": 1}, **QUESTION, seed=1, call_type="acompletion", caller="x")
    assert await cache.async_get_cache(**QUESTION, seed=2, caller="x") == {"a": 1}
    assert await cache.async_get_cache(**QUESTION, caller="y") is None
    assert seen[0] == QUESTION | {"seed": 1, "call_type": "completion", "path": ""}


def test_a_replaced_key_makes_the_key_of_sync_python_calls_too() -> None:
    cache = Cache()
    cache.get_cache_key = lambda **fields: fields["model"]
    cache.add_cache({"a": 1}, **QUESTION, seed=1)
    assert cache.get_cache(**QUESTION, seed=2) == {"a": 1}
    assert cache.get_cache(model="other", messages=[]) is None
    assert cache.get_cache(model="m", messages=[], store=True) is None


async def test_a_key_that_cannot_be_made_leaves_python_calls_alone() -> None:
    cache = Cache()
    cache.get_cache_key = raises
    cache.add_cache({"a": 1}, **QUESTION)
    await cache.async_add_cache({"a": 1}, **QUESTION)
    assert cache.get_cache(**QUESTION) is None
    assert await cache.async_get_cache(**QUESTION) is None
    assert len(cache.backend) == 0


def test_an_async_key_cannot_be_waited_for_by_a_sync_call() -> None:
    cache = Cache()
    cache.get_cache_key = as_async(lambda **_: "key")
    with pytest.raises(TypeError, match="async_"):
        cache.get_cache(**QUESTION)


async def test_wrapped_functions_keep_to_the_cache_s_own_parts() -> None:
    cache, shelf, called = Cache(), Shelf(), []
    cache.add_cache, cache.get_cache = shelf.add, shelf.get

    def complete(model: str, messages: Any) -> Any:
        called.append(model)
        return json.loads(completion())

    for _ in range(2):
        assert await cached_call(cache, complete, **QUESTION) == json.loads(completion())
    assert (called, shelf.added, shelf.asked) == (["m"], [], [])


# ---- refreshes


async def test_a_refresh_behind_a_stale_entry_goes_to_the_replacement() -> None:
    shelf, now = Shelf(), [1_000.0]
    desk = Desk(ttl=10, stale_while_revalidate=100)
    desk.cached._handler._clock = lambda: now[0]
    headers = ((b"content-type", b"application/json"),)
    old = Entry("k", 980.0, 10.0, 200, headers, completion("old"), "plain", usage_due=True)
    desk.cache.get_cache, desk.cache.add_cache = (lambda **_: old), shelf.add
    assert "detail=stale" in (await desk.ask()).cache_status
    await desk.cached._drain()
    assert [json.dumps(result).encode() for result, _ in shelf.added] == [completion()]


class Own(Cache):
    """A cache that wants to know of every look-up and every answer."""

    looked_up: int = 0
    kept: int = 0

    async def lookup(self, key: str, *, counted: bool = True) -> Any:
        self.looked_up += 1
        return await super().lookup(key, counted=counted)

    async def store(self, entry: Entry, retention: float) -> bool:
        self.kept += 1
        return await super().store(entry, retention)


@pytest.mark.parametrize("kind", ["local", "disk"])
async def test_a_subclass_with_a_lookup_and_a_store_of_its_own_is_asked(
    kind: str, tmp_path: Path
) -> None:
    cache = Own(type=kind, disk_cache_dir=tmp_path / "kept")
    app = CacheMiddleware(Dictated(), cache=cache)
    heard = [(await call(app, chat_body())).cache_status for _ in range(2)]
    assert [status.split(";")[1].strip() for status in heard] == ["fwd=miss", "hit"]
    assert (cache.looked_up, cache.kept) == (2, 1)
    await cache.disconnect()


async def test_a_python_call_waits_no_longer_for_its_key_than_for_the_backend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def endless(**_fields: Any) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("askonce.caching._replaced.LIMIT_SECONDS", 0.001)
    cache = Cache(type="local")
    cache.get_cache_key = endless  # type: ignore[method-assign]
    assert await cache.async_get_cache(**QUESTION) is None
    assert cache.stats().errors == 1
