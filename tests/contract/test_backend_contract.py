"""What every backend promises."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from askonce.codec import encode
from askonce.entry import Entry
from askonce.errors import BackendError

if TYPE_CHECKING:
    from askonce.caching.base_cache import BaseCache

SCALARS = [False, True, 0, 1, -1, 0.0, 2.5, 2**70, "", "text", "5"]
VALUES = [*SCALARS, [], {}, [None], {"a": [1, 2.0, {}]}]


def entry(key: str = "askonce:00", body: bytes = b"{}", **fields: object) -> Entry:
    made = {
        "key": key,
        "stored_at": 1.0,
        "ttl": 60.0,
        "status": 200,
        "headers": ((b"content-type", b"application/json"), (b"a", b"1"), (b"a", b"2")),
        "body": body,
        "shape": "plain",
        "usage_due": False,
    }
    return Entry(**{**made, **fields})


# ---- entries


def test_an_entry_comes_back_equal(backend: BaseCache) -> None:
    stored = entry(body=bytes(range(256)) * 500, vary=((b"accept", (b"x",)),), may_be_stale=False)
    backend.set_entry(stored, 60)
    assert backend.get_entry(stored.key) == stored


async def test_the_asynchronous_twins_do_the_same(backend: BaseCache) -> None:
    await backend.async_set_entry(entry(), 60)
    assert await backend.async_get_entry("askonce:00") == backend.get_entry("askonce:00") == entry()


async def test_nothing_is_found_where_nothing_is(backend: BaseCache) -> None:
    assert backend.get_entry("askonce:00") is None
    assert await backend.async_get_entry("askonce:00") is None
    assert backend.get_cache("k") is None
    assert await backend.async_get_cache("k") is None
    assert backend.undecodable == 0


def test_a_later_entry_replaces_an_earlier_one(backend: BaseCache) -> None:
    for body in (b"old", b"new and longer", b""):
        backend.set_entry(entry(body=body), 60)
        found = backend.get_entry("askonce:00")
        assert found is not None
        assert found.body == body


def test_an_entry_is_kept_to_the_end_of_its_retention_and_no_longer(
    backend: BaseCache, clock
) -> None:
    backend.set_entry(entry(), 1.5)
    clock.advance(1.25)
    assert backend.get_entry("askonce:00") == entry()
    clock.advance(0.25)
    assert backend.get_entry("askonce:00") is None


@pytest.mark.parametrize("retention", [0, -1, 0.0])
def test_an_entry_without_retention_deletes_what_is_there(backend: BaseCache, retention) -> None:
    backend.set_entry(entry(), 60)
    backend.set_entry(entry(body=b"new"), retention)
    assert backend.get_entry("askonce:00") is None


def test_a_key_is_taken_literally(backend: BaseCache) -> None:
    ends = ["*", "%", "_", "\\", "'", '"', "é", "\u2603", "x" * 500, "", "x"]
    keys = [f"a:{end}" for end in ends]
    for key in keys:
        backend.set_entry(entry(key, key.encode()), 60)
    assert [found and found.body for found in map(backend.get_entry, keys)] == [
        key.encode() for key in keys
    ]


# ---- JSON values


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_json_value_comes_back_with_its_type(backend: BaseCache, value: object) -> None:
    backend.set_cache("k", value)
    assert repr(backend.get_cache("k")) == repr(value)
    await backend.async_set_cache("k2", value, ttl=60)
    assert repr(await backend.async_get_cache("k2")) == repr(value)


async def test_to_set_none_is_to_delete(backend: BaseCache) -> None:
    backend.set_cache("a", 1)
    backend.set_cache("a", None)
    await backend.async_set_cache("b", 1)
    await backend.async_set_cache("b", None)
    assert backend.batch_get_cache(["a", "b"]) == [None, None]


def test_values_are_safe_from_the_callers_later_changes(backend: BaseCache) -> None:
    value = {"list": [1]}
    backend.set_cache("k", value)
    value["list"].append(2)
    backend.get_cache("k")["list"].append(3)
    assert backend.get_cache("k") == {"list": [1]}


def test_a_ttl_of_a_fraction_of_a_second_is_kept(backend: BaseCache, clock) -> None:
    backend.set_cache("k", 1, ttl=0.5)
    clock.advance(0.25)
    assert backend.get_cache("k") == 1
    clock.advance(0.25)
    assert backend.get_cache("k") is None


def test_the_default_ttl_counts_where_none_is_given(backend: BaseCache, clock) -> None:
    backend.default_ttl = 10
    backend.set_cache("default", 1)
    backend.set_cache("own", 1, ttl=20)
    clock.advance(15)
    assert backend.batch_get_cache(["default", "own"]) == [None, 1]


def test_without_any_ttl_a_value_stays(backend: BaseCache, clock) -> None:
    backend.set_cache("k", 1)
    clock.advance(10**9)
    assert backend.get_cache("k") == 1


@pytest.mark.parametrize("ttl", ["soon", float("nan"), [1]])
def test_a_ttl_that_is_no_number_is_refused(backend: BaseCache, ttl: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        backend.set_cache("k", 1, ttl=ttl)


def test_what_json_has_not_is_refused_and_changes_nothing(backend: BaseCache) -> None:
    backend.set_cache("k", 1)
    with pytest.raises(TypeError):
        backend.set_cache("k", {1, 2})
    assert backend.get_cache("k") == 1


async def test_many_are_set_and_read_at_once_in_order(backend: BaseCache, clock) -> None:
    await backend.async_set_cache_pipeline([("a", 1), ("b", False), ("c", None), ("a", 2)], ttl=10)
    assert await backend.async_batch_get_cache(["c", "b", "a", "x"]) == [None, False, 2, None]
    assert backend.batch_get_cache([]) == []
    await backend.async_set_cache_pipeline([])
    clock.advance(10)
    assert backend.batch_get_cache(["a", "b"]) == [None, None]


async def test_a_later_none_in_a_pipeline_deletes(backend: BaseCache) -> None:
    await backend.async_set_cache_pipeline([("a", 1), ("a", None)])
    assert backend.get_cache("a") is None


async def test_a_buffered_write_is_there_in_the_end(backend: BaseCache) -> None:
    await backend.batch_cache_write("k", "v", ttl=10)
    assert await backend.async_get_cache("k") == "v"


async def test_keywords_of_litellms_callers_are_accepted(backend: BaseCache) -> None:
    backend.set_cache("k", 1, parent_otel_span=None)
    assert backend.get_cache("k", parent_otel_span=None) == 1
    assert await backend.async_get_cache("k", litellm_parent_otel_span=None) == 1
    assert backend.batch_get_cache(["k"], parent_otel_span=None) == [1]
    assert await backend.async_batch_get_cache(["k"], parent_otel_span=None) == [1]
    assert backend.increment_cache("k", 1, parent_otel_span=None) == 2
    assert await backend.async_increment("k", 1, parent_otel_span=None) == 3


# ---- counters


async def test_counters_begin_at_0_and_take_fractions(backend: BaseCache) -> None:
    assert backend.increment_cache("n") == 1
    assert await backend.async_increment("n", 4) == 5
    assert backend.increment_cache("n", -0.5) == 4.5
    assert backend.get_cache("n") == 4.5


def test_a_number_that_was_set_can_be_added_to(backend: BaseCache) -> None:
    backend.set_cache("n", 10)
    assert backend.increment_cache("n", 1) == 11


def test_a_counter_keeps_the_time_it_began_with(backend: BaseCache, clock) -> None:
    backend.increment_cache("n", 1, ttl=10)
    clock.advance(6)
    assert backend.increment_cache("n", 1, ttl=10) == 2
    clock.advance(3.5)
    assert backend.get_cache("n") == 2
    clock.advance(0.5)
    assert backend.get_cache("n") is None
    assert backend.increment_cache("n", 1, ttl=10) == 1


@pytest.mark.parametrize("value", ["text", True, [1], {"a": 1}, 2**70])
def test_what_is_no_number_is_not_added_to(backend: BaseCache, value: object) -> None:
    backend.set_cache("n", value)
    with pytest.raises(BackendError, match="not a number"):
        backend.increment_cache("n", 1)
    assert backend.get_cache("n") == value


def test_an_entry_is_not_added_to(backend: BaseCache) -> None:
    backend.set_entry(entry(), 60)
    with pytest.raises(BackendError, match="not a number"):
        backend.increment_cache("askonce:00", 1)
    assert backend.get_entry("askonce:00") == entry()


def test_no_increment_of_many_threads_is_lost(backend: BaseCache) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: backend.increment_cache("n"), range(200)))
    assert backend.get_cache("n") == 200


# ---- deleting


async def test_deleting_says_whether_there_was_something(backend: BaseCache) -> None:
    backend.set_entry(entry(), 60)
    backend.set_cache("k", 1)
    assert backend.delete_cache("askonce:00") is True
    assert backend.delete_cache("askonce:00") is False
    assert await backend.async_delete_cache("k") is True
    assert await backend.async_delete_cache("k") is False
    assert backend.get_entry("askonce:00") is None
    assert backend.get_cache("k") is None


async def test_many_are_deleted_at_once(backend: BaseCache) -> None:
    await backend.async_set_cache_pipeline([("a", 1), ("b", 2), ("c", 3)])
    assert await backend.async_delete_many(["a", "c", "x"]) == 2
    assert backend.batch_get_cache(["a", "b", "c"]) == [None, 2, None]


NEIGHBOURS = ["team", "team;", "teams:1", "tea:1", "Team:1", "xteam:1", "team%2F:1", "te*:1"]


async def test_a_flush_takes_a_namespace_and_its_children_only(backend: BaseCache) -> None:
    own = ["team:1", "team:2", "team/child:1", "team/child/grandchild:1", "team/*:1"]
    for key in [*own, *NEIGHBOURS]:
        backend.set_cache(key, key)
    assert await backend.async_flush_cache("team") == len(own)
    assert backend.batch_get_cache(own) == [None] * len(own)
    assert backend.batch_get_cache(NEIGHBOURS) == NEIGHBOURS


@pytest.mark.parametrize("namespace", ["*", "te*", "t?am", "[t]eam", "%", "te_m", "%25", ""])
def test_wildcards_in_a_namespace_mean_nothing(backend: BaseCache, namespace: str) -> None:
    backend.set_cache("team:1", 1)
    backend.set_cache(f"{namespace}:1", 2)
    assert backend.flush_cache(namespace) == 1
    assert backend.get_cache("team:1") == 1


def test_a_flush_of_a_child_spares_its_parent(backend: BaseCache) -> None:
    for key in ("team:1", "team/a:1", "team/ab:1"):
        backend.set_cache(key, 1)
    assert backend.flush_cache("team/a") == 1
    assert backend.batch_get_cache(["team:1", "team/a:1", "team/ab:1"]) == [1, None, 1]


def test_a_flush_of_thousands_takes_them_all(backend: BaseCache) -> None:
    asyncio.run(backend.async_set_cache_pipeline([(f"team:{n}", n) for n in range(1050)]))
    backend.set_cache("other:1", 1)
    assert backend.flush_cache("team") == 1050
    assert backend.get_cache("other:1") == 1


def test_a_flush_of_everything_takes_everything(backend: BaseCache) -> None:
    for key in ("team:1", "other:1", "bare"):
        backend.set_cache(key, 1)
    assert backend.flush_cache() == 3
    assert backend.batch_get_cache(["team:1", "other:1", "bare"]) == [None, None, None]


# ---- what cannot be read


async def test_a_value_is_no_entry_and_is_deleted(backend: BaseCache) -> None:
    backend.set_cache("a", {"k": 1})
    backend.set_cache("b", 5)
    assert backend.get_entry("a") is None
    assert await backend.async_get_entry("b") is None
    assert backend.batch_get_cache(["a", "b"]) == [None, None]
    assert backend.undecodable == 2


async def test_an_entry_is_no_value_and_is_deleted(backend: BaseCache) -> None:
    for key in ("a", "b"):
        backend.set_entry(entry(key), 60)
    assert backend.get_cache("a") is None
    assert await backend.async_get_cache("b") is None
    assert backend.get_entry("a") is None
    assert backend.undecodable == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
        lambda data: b"",
        lambda data: data.replace(b"askonce:00", b"askonce:01"),
        lambda data: data[:3] + b"\x02" + data[4:],
        lambda data: b"\x80\x05N.",
    ],
    ids=["truncated", "flipped", "empty", "another key", "version 2", "pickle"],
)
def test_a_damaged_entry_is_a_miss_is_counted_and_deleted(backend: BaseCache, damage) -> None:
    backend._call(backend._write, [("askonce:00", damage(encode(entry())), 60.0)])
    assert backend.get_entry("askonce:00") is None
    assert backend.get_entry("askonce:00") is None
    assert backend._call(backend._read, ["askonce:00"]) == [None]


# ---- life


async def test_a_connection_test_says_what_it_did_and_leaves_nothing(backend: BaseCache) -> None:
    result = await backend.test_connection()
    assert result["status"] == "success"
    assert backend.name in result["message"]
    assert backend.flush_cache() == 0


async def test_a_backend_can_be_used_again_after_it_was_closed(backend: BaseCache) -> None:
    await backend.disconnect()
    await backend.async_set_cache("k", 1)
    await backend.disconnect()
    await backend.disconnect()
    assert backend.get_cache("k") == 1


def test_a_backend_serves_one_event_loop_after_the_other(backend: BaseCache) -> None:
    async def count() -> object:
        await backend.async_set_entry(entry(), 60)
        return await backend.async_increment("n", 1)

    assert [asyncio.run(count()) for _ in range(3)] == [1, 2, 3]


def test_event_loops_in_many_threads_share_a_backend(backend: BaseCache) -> None:
    def work(number: int) -> object:
        return asyncio.run(backend.async_set_cache(f"k{number}", number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    assert backend.batch_get_cache([f"k{n}" for n in range(20)]) == list(range(20))
