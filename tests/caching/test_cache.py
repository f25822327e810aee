"""The facade, as the journey and the operator use it."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from askonce import CacheMiddleware
from askonce.caching._backends import parted
from askonce.caching.caching import Cache, Failed, Stats
from askonce.caching.disk_cache import DiskCache
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.calls.base import Ask, KeyOptions
from askonce.calls.chat import Completion
from askonce.calls.keys import Grammar, digest
from askonce.calls.registry import CALL_TYPES
from askonce.codec import decode, encode
from askonce.errors import BackendError, MissingExtraError, SettingsError
from askonce.settings import CacheSettings
from support import valkey
from support.asgi import Dictated, call, chat_body

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.entry import Entry


@pytest.fixture
def cache(slow) -> Cache:
    """Its backend waits, unlike memory."""
    return Cache(backend=slow, backend_timeout=30)


# ---- how it is made


def test_memory_is_the_default_and_takes_its_bounds_from_the_settings() -> None:
    made = Cache(memory_max_entries=1, memory_max_bytes=10_000, ttl=5)
    backend = made.backend
    assert isinstance(backend, InMemoryCache)
    assert backend.default_ttl == 5
    backend.set_cache("a", 1)
    backend.set_cache("b", "x" * 20_000)
    backend.set_cache("c", 1)
    assert backend.batch_get_cache(["a", "b", "c"]) == [None, None, 1]


def test_the_disk_takes_its_directory_from_the_settings(tmp_path: Path) -> None:
    made = Cache(type="disk", disk_cache_dir=tmp_path / "here", default_in_memory_ttl=5)
    backend = made.backend
    assert isinstance(backend, DiskCache)
    assert backend.directory == tmp_path / "here"
    assert backend.default_ttl == 3_600


def test_the_backend_goes_by_the_same_clock(clock) -> None:
    made = Cache(clock=clock)
    made.backend.set_cache("a", 1, ttl=10)
    clock.now += 10
    assert made.backend.get_cache("a") is None


def test_settings_may_come_as_one_object() -> None:
    settings = CacheSettings(namespace="team", ttl=7)
    for made in (Cache(settings=settings), Cache.from_settings(settings)):
        assert made.settings is settings
        assert made.backend.default_ttl == 7


def test_a_subclass_makes_itself() -> None:
    class Mine(Cache):
        pass

    assert type(Mine.from_settings(CacheSettings())) is Mine


def test_settings_come_at_once_or_singly() -> None:
    with pytest.raises(TypeError):
        Cache(settings=CacheSettings(), ttl=7)


def test_a_wrong_setting_is_said() -> None:
    with pytest.raises(SettingsError, match=r"(?i)ttl"):
        Cache(ttl="soon")


def test_a_type_without_a_backend_is_never_replaced_by_another() -> None:
    settings = CacheSettings.model_construct(type="local-semantic")
    with pytest.raises(SettingsError, match=r"ASKONCE_TYPE.*local-semantic"):
        Cache(settings=settings)


NODE = {"host": "127.0.0.1", "port": 1}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, "InMemoryCache"),
        ({"type": "disk"}, "DiskCache"),
        ({"type": "redis", **NODE}, "RedisCache"),
        ({"type": "redis", "redis_startup_nodes": [NODE]}, "RedisClusterCache"),
        ({"type": "redis", "sentinel_nodes": [NODE], "service_name": "main"}, "RedisCache"),
        ({"type": "s3", "s3_bucket_name": "b", "s3_region_name": "eu-west-1"}, "S3Cache"),
        ({"type": "dual", **NODE}, "DualCache"),
    ],
    ids=repr,
)
def test_the_settings_choose_the_backend(said: dict[str, Any], kind: str) -> None:
    made = Cache(**said)
    assert type(made.backend).__name__ == kind
    assert made.backend.default_ttl == 3_600


async def test_every_setting_of_a_backend_reaches_it() -> None:
    server = valkey.shared()
    place = {"host": server.host, "port": server.port, "db": 3}
    made = Cache(type="redis", **place, ttl=7, backend_timeout=30)
    await made.async_add_cache({"a": 1}, model="m", messages=[])
    assert "db3" in server.ask("INFO", "keyspace")
    assert await made.async_get_cache(model="m", messages=[]) == {"a": 1}
    assert await made.ping() is True
    await made.flush()
    await made.disconnect()


def test_a_missing_driver_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(type="disk")  # from here on the driver is imported, as elsewhere in this run
    monkeypatch.delitem(sys.modules, "askonce.caching._diskcache")
    monkeypatch.delattr("askonce.caching._diskcache")
    monkeypatch.setitem(sys.modules, "diskcache", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askonce\[disk\]'"):
        Cache(type="disk")


# ---- keywords beside the settings


def test_other_keywords_go_to_the_driver(tmp_path: Path) -> None:
    made = Cache(max_size_in_memory=1)
    for name in ("a", "b"):
        made.backend.set_cache(name, 1)
    assert len(made.backend) == 1  # type: ignore[arg-type]
    wins = Cache(memory_max_entries=5, max_size_in_memory=0)
    wins.backend.set_cache("a", 1)
    assert wins.backend.get_cache("a") is None
    disk = Cache(type="disk", disk_cache_dir=tmp_path, size_limit=123_456)
    assert disk.backend._size_limit == 123_456


def test_settings_at_once_may_come_with_keywords_for_the_driver() -> None:
    settings = CacheSettings()
    for made in (
        Cache(settings=settings, max_size_in_memory=0),
        Cache.from_settings(settings, max_size_in_memory=0),
    ):
        made.backend.set_cache("a", 1)
        assert made.backend.get_cache("a") is None


@pytest.mark.parametrize("said", [{"type": "local"}, {"type": "redis", **NODE}, {"type": "disk"}])
def test_what_no_driver_takes_is_refused_in_words(said: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=rf"not a setting.*'{said['type']}' either: nonsense"):
        Cache(**said, nonsense=1)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("tll", "ttl"),
        ("namspace", "namespace"),
        ("s3_bucket_nam", "s3_bucket_name"),
        ("hosts", "host"),
        ("redis_urk", "redis_url"),
        ("smode", "mode"),
    ],
)
def test_a_setting_with_a_slip_is_not_the_drivers(slip: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"{slip} is no setting; did you mean {meant}"):
        Cache(type="redis", **NODE, **{slip: "x"})


def test_every_slip_is_named() -> None:
    with pytest.raises(SettingsError, match=r"tll(.|\n)*namspace"):
        Cache(tll=1, namspace="x")


@pytest.mark.parametrize("name", ["max_connections", "socket_timeout", "client_name", "path"])
def test_what_only_resembles_a_setting_is_the_drivers(name: str) -> None:
    assert parted({name: 1}, CacheSettings.model_fields) == ({}, {name: 1})


def test_a_given_backend_takes_no_keywords(slow) -> None:
    with pytest.raises(SettingsError, match="nonsense"):
        Cache(backend=slow, nonsense=1)


def test_an_error_of_a_backend_is_not_taken_for_a_wrong_keyword(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("its own")

    monkeypatch.setattr(InMemoryCache, "from_settings", broken)
    with pytest.raises(TypeError, match="its own"):
        Cache()


# ---- memory


async def test_memory_answers_without_waiting(entry: Entry) -> None:
    made = Cache()
    made.announce(entry, 60)
    with pytest.raises(StopIteration) as finished:
        made.lookup(entry.key).send(None)
    assert finished.value.value == entry
    with pytest.raises(StopIteration) as finished:
        made.store(entry, 60).send(None)
    assert finished.value.value is True


async def test_what_was_announced_to_memory_is_not_stored_twice(entry: Entry) -> None:
    made = Cache()
    made.announce(entry, 60)
    first = await made.lookup(entry.key)
    await made.store(entry, 60)
    assert await made.lookup(entry.key) is first
    newer = replace(entry, stored_at=entry.stored_at + 1, body=b"new")
    await made.store(newer, 60)
    assert await made.lookup(entry.key) == newer


async def test_a_backend_in_the_process_that_fails_is_a_miss_too(entry: Entry) -> None:
    class Broken(InMemoryCache):
        def get_entry(self, key: str) -> Entry | None:
            raise OSError(key)

        def set_entry(self, entry: Entry, retention: float) -> None:
            raise OSError(entry.key, retention)

    made = Cache(backend=Broken())
    assert await made.lookup(entry.key) == Failed("error")
    made.announce(entry, 60)
    assert made.stats().errors == 2
    assert await made.store(entry, 60) is False


# ---- a backend that waits


async def test_an_entry_is_stored_and_looked_up(cache: Cache, entry: Entry) -> None:
    assert await cache.lookup(entry.key) is None
    assert await cache.store(entry, 60) is True
    assert await cache.lookup(entry.key) == entry


async def test_an_entry_is_found_while_it_is_being_written(cache: Cache, slow, entry) -> None:
    slow.ready.clear()
    storing = asyncio.create_task(cache.store(entry, 60))
    await asyncio.sleep(0)
    assert await cache.lookup(entry.key) is entry
    assert slow.writes == []
    slow.ready.set()
    assert await storing is True
    assert slow.writes == [entry.key]


async def test_what_a_backend_has_at_hand_is_found_without_waiting(
    slow, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Cache(backend=slow, backend_timeout=30)
    slow.ready.clear()
    monkeypatch.setattr(slow, "look", lambda key: entry if key == entry.key else None)
    with pytest.raises(StopIteration) as finished:
        made.lookup(entry.key).send(None)
    assert finished.value.value is entry
    assert made.look("askonce:other") is None
    assert made.look(entry.key, counted=False) is entry
    assert (made.stats().hits, made.stats().misses) == (1, 0)


async def test_a_look_that_fails_is_followed_by_a_read(
    cache: Cache, slow, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(key: str) -> None:
        raise BackendError(key)

    await cache.store(entry, 60)
    monkeypatch.setattr(slow, "look", broken)
    assert await cache.lookup(entry.key) == entry
    assert cache.stats().errors == 1


async def test_a_request_finds_what_a_backend_has_at_hand(
    slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Cache(backend=slow, backend_timeout=30)
    cached = CacheMiddleware(Dictated(), cache=made)
    await call(cached, chat_body())
    [key] = slow.kept
    monkeypatch.setattr(slow, "look", lambda _: decode(slow.kept[key], key))
    slow.ready.clear()
    assert "hit" in (await call(cached, chat_body())).cache_status


async def test_an_announced_entry_is_found_at_once_and_written_once(
    cache: Cache, slow, entry: Entry
) -> None:
    slow.ready.clear()
    cache.announce(entry, 60)
    assert await cache.lookup(entry.key) is entry
    slow.ready.set()
    assert await cache.store(entry, 60) is True
    assert slow.writes == [entry.key]


async def test_python_callers_without_a_loop_find_what_is_being_written(cache: Cache, slow) -> None:
    slow.ready.clear()
    call = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    adding = asyncio.create_task(cache.async_add_cache({"a": 1}, **call))
    await asyncio.sleep(0)
    assert cache.get_cache(**call) == {"a": 1}
    slow.ready.set()
    await adding


async def test_draining_waits_for_what_was_announced(cache: Cache, slow, entry: Entry) -> None:
    cache.announce(entry, 60)
    await cache.drain()
    assert slow.writes == [entry.key]


async def test_a_backend_that_fails_is_a_miss_and_is_logged(
    cache: Cache, slow, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "askonce")
    slow.error = BackendError("slow: out of order")
    assert await cache.lookup(entry.key) == Failed("error")
    assert await cache.store(entry, 60) is False
    await cache.async_add_cache({}, model="m", messages=[])
    assert await cache.async_get_cache(model="m", messages=[]) is None
    assert cache.get_cache(model="m", messages=[]) is None
    assert cache.stats().errors == 5
    assert caplog.messages == ["slow: a read failed, served uncached: slow: out of order"]


async def test_a_backend_that_is_too_slow_is_a_miss(slow, entry: Entry) -> None:
    made = Cache(backend=slow, backend_timeout=0.001)
    slow.ready.clear()
    assert await made.lookup(entry.key) == Failed("timeout")
    assert await made.store(entry, 60) is False
    assert made.stats().errors == 2


async def test_a_backend_without_a_limit_is_waited_for(slow, entry: Entry) -> None:
    made = Cache(backend=slow)
    slow.ready.clear()
    looking = asyncio.create_task(made.lookup(entry.key))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not looking.done()
    slow.ready.set()
    assert await looking is None


async def test_whoever_looks_up_can_be_cancelled(cache: Cache, slow, entry: Entry) -> None:
    slow.ready.clear()
    looking = asyncio.create_task(cache.lookup(entry.key))
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert cache.stats().errors == 0


async def test_a_full_disk_costs_the_answer_only(tmp_path: Path, entry: Entry) -> None:
    (tmp_path / "file").touch()
    made = Cache(type="disk", disk_cache_dir=tmp_path / "file" / "cache", backend_timeout=30)
    assert await made.lookup(entry.key) == Failed("error")
    assert await made.store(entry, 60) is False
    await made.disconnect()


# ---- Python callers


async def test_a_batched_write_is_found_at_once_and_written_behind(cache: Cache, slow) -> None:
    slow.ready.clear()
    call = {"model": "m", "messages": []}
    await cache.batch_cache_write({"a": 1}, **call)
    await cache.batch_cache_write(None, **call, seed=1)
    assert cache.get_cache(**call) == {"a": 1}
    assert slow.writes == []
    slow.ready.set()
    await cache.drain()
    assert len(slow.writes) == 1


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ({}, False),
        ({"cache": {"use-cache": True}}, True),
        ({"cache": {"use-cache": True}, "call_type": "acompletion"}, True),
        ({"cache": {"use-cache": True}, "call_type": "embedding"}, False),
        ({"cache": {"use-cache": True, "namespace": "a"}, "namespace": "b"}, False),
    ],
    ids=repr,
)
def test_whether_a_call_is_cached_can_be_asked(said: dict[str, Any], used: bool) -> None:
    assert Cache(mode="default_off").should_use_cache(**said) is used


def test_a_call_that_is_wrong_is_not_asked_about() -> None:
    with pytest.raises(ValueError, match="telepathy"):
        Cache().should_use_cache(call_type="telepathy")


class Embedding(Completion):
    """A call type that takes whatever has an input."""

    name = "embedding"

    def ask(self, body: Any, deployment: str | None, options: KeyOptions) -> Any:
        key = digest(body, Grammar(ignored={}), options)
        assert key is not None
        return Ask("plain", usage_due=True, digest=key, expected=1, model="m")


@pytest.fixture
def embeddings(monkeypatch: pytest.MonkeyPatch) -> Cache:
    known = {**CALL_TYPES, "embedding": Embedding()}
    monkeypatch.setattr("askonce.caching._python_calls.CALL_TYPES", known)
    settings = CacheSettings()
    both = frozenset({*settings.supported_call_types, "embedding"})
    return Cache(settings=settings.model_copy(update={"supported_call_types": both}))


def vectors(*numbers: float) -> dict[str, Any]:
    data = [{"index": n, "embedding": [number]} for n, number in enumerate(numbers)]
    return {"object": "list", "data": data, "usage": {"prompt_tokens": 9}}


async def test_a_pipeline_stores_each_item_of_an_embedding_call(embeddings: Cache) -> None:
    call = {"model": "m", "call_type": "aembedding"}
    await embeddings.async_add_cache_pipeline(vectors(0.5, 1.5), **call, input=["a", "b"])
    for item, number in (("a", 0.5), ("b", 1.5)):
        found = await embeddings.async_get_cache(**call, input=item)
        assert found == {"object": "list", "data": [{"index": 0, "embedding": [number]}]}
    assert await embeddings.async_get_cache(**call, input=["a", "b"]) is None


@pytest.mark.parametrize("result", [vectors(0.5), {"data": "x"}, [], None], ids=repr)
async def test_a_pipeline_stores_nothing_that_it_cannot_part(
    embeddings: Cache, result: Any
) -> None:
    await embeddings.async_add_cache_pipeline(
        result, model="m", call_type="embedding", input=["a", "b"]
    )
    assert len(embeddings.backend) == 0  # type: ignore[arg-type]


async def test_a_pipeline_stores_any_other_call_whole(embeddings: Cache) -> None:
    one = {"model": "m", "call_type": "embedding", "input": "a"}
    await embeddings.async_add_cache_pipeline(vectors(0.5), **one)
    assert await embeddings.async_get_cache(**one) == vectors(0.5)
    chat = {"model": "m", "messages": [], "input": ["a"]}
    await embeddings.async_add_cache_pipeline({"n": 1}, **chat)
    assert await embeddings.async_get_cache(**chat) == {"n": 1}


# ---- operators


async def test_keys_are_deleted_even_those_on_their_way(cache: Cache, slow, entry: Entry) -> None:
    await cache.store(replace(entry, key="askonce:2"), 60)
    cache.announce(entry, 60)
    assert await cache.delete_cache_keys([entry.key, "askonce:2", "askonce:3"]) == 2
    assert await cache.lookup(entry.key) is None
    assert slow.kept == {}


async def test_a_flush_takes_the_operators_namespace_and_its_children(slow, entry: Entry) -> None:
    made = Cache(backend=slow, namespace="a:b/c*", backend_timeout=30)
    own = ["a%3Ab%2Fc%2A:1", "a%3Ab%2Fc%2A/child:1"]
    others = ["a:1", "a%3Ab%2Fc%2Ad:1", "askonce:1"]
    for key in own + others:
        made.announce(replace(entry, key=key), 60)
    assert await made.flush() == 2
    assert sorted(slow.kept) == sorted(others)


async def test_a_flush_of_a_clients_namespace_takes_only_that(cache: Cache, slow, entry) -> None:
    for key in ("askonce:1", "askonce/x%2F:1", "askonce/x:1"):
        await cache.store(replace(entry, key=key), 60)
    assert await cache.flush("x/") == 1
    assert sorted(slow.kept) == ["askonce/x:1", "askonce:1"]


async def test_what_operators_do_raises_when_it_fails(cache: Cache, slow) -> None:
    slow.error = BackendError("out of order")
    with pytest.raises(BackendError):
        await cache.flush()
    with pytest.raises(BackendError):
        await cache.delete_cache_keys(["askonce:1"])


async def test_a_ping_tells_whether_the_backend_works(cache: Cache, slow) -> None:
    assert await cache.ping() is True
    slow.error = BackendError("out of order")
    assert await cache.ping() is False


async def test_a_backend_that_loses_what_it_was_given_does_not_work(slow) -> None:
    slow._write = lambda items: None
    result = await slow.test_connection()
    assert result == {"status": "failed", "message": "slow: what was written did not come back"}


async def test_a_backend_from_outside_is_not_closed(cache: Cache, slow, entry: Entry) -> None:
    cache.announce(entry, 60)
    await cache.disconnect()
    assert slow.disconnected == 0
    assert slow.writes == [entry.key]


async def test_a_backend_made_here_is_closed_and_opens_again(tmp_path: Path, entry: Entry) -> None:
    made = Cache(type="disk", disk_cache_dir=tmp_path, backend_timeout=30)
    made.announce(entry, 3_600)
    await made.close()
    assert isinstance(made.backend, DiskCache)
    assert made.backend._lanes is None
    found = await made.lookup(entry.key)
    assert found == entry
    await made.disconnect()


async def test_what_happened_is_counted(cache: Cache, slow, entry: Entry) -> None:
    await cache.store(entry, 60)
    await cache.lookup(entry.key)
    await cache.lookup("askonce:none")
    slow.kept["askonce:other"] = encode(entry)
    await cache.lookup("askonce:other")
    slow.error = BackendError("out of order")
    await cache.lookup(entry.key)
    cache.count_bypass()
    assert cache.stats() == Stats(
        hits=1, misses=2, bypasses=1, errors=1, evictions=0, undecodable=1
    )


def test_evictions_of_memory_are_counted(entry: Entry) -> None:
    made = Cache(memory_max_entries=1)
    for number in range(3):
        made.backend.set_entry(replace(entry, key=f"askonce:{number}"), 60)
    assert made.stats().evictions == 2


@pytest.mark.parametrize("name", ["Cache", "BaseCache", "InMemoryCache", "DiskCache"])
def test_the_package_has_each_name_on_demand(name: str) -> None:
    import askonce.caching

    assert getattr(askonce.caching, name).__name__ == name
    assert name in dir(askonce.caching)


def test_the_package_has_no_other_names() -> None:
    import askonce.caching

    with pytest.raises(AttributeError, match="Cash"):
        askonce.caching.Cash  # noqa: B018
