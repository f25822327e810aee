"""get_cache, add_cache and get_cache_key: calls without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from askonce.caching.caching import Cache

CALL: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "What is 2 + 2?"}],
}
RESULT = {"choices": [{"message": {"content": "4"}}], "n": 2**70, "f": 0.1, "e": [None, True, ""]}


@pytest.fixture
def cache(clock) -> Cache:
    return Cache(clock=clock)


# ---- results


@pytest.mark.parametrize("result", [RESULT, {}, [], 0, False, "", "text", 1.5], ids=repr)
async def test_a_result_comes_back_as_it_went_in(cache: Cache, result: object) -> None:
    cache.add_cache(result, **CALL)
    assert (
        repr(cache.get_cache(**CALL)) == repr(await cache.async_get_cache(**CALL)) == repr(result)
    )
    other = {**CALL, "seed": 1}
    await cache.async_add_cache(result, **other)
    assert repr(cache.get_cache(**other)) == repr(result)


async def test_none_stores_nothing(cache: Cache) -> None:
    cache.add_cache(RESULT, **CALL)
    cache.add_cache(None, **CALL)
    await cache.async_add_cache(None, **CALL)
    assert cache.get_cache(**CALL) == RESULT
    assert cache.get_cache(**CALL, seed=1) is None


def test_a_pydantic_result_is_stored_as_its_json(cache: Cache) -> None:
    class Completion:
        def model_dump(self, mode: str) -> object:
            return {"mode": mode}

    cache.add_cache(Completion(), **CALL)
    assert cache.get_cache(**CALL) == {"mode": "json"}


@pytest.mark.parametrize("result", [{1, 2}, {1: 2}, object(), float("nan"), b"x"])
def test_a_result_that_json_has_not_is_refused(cache: Cache, result: object) -> None:
    with pytest.raises(TypeError, match="JSON"):
        cache.add_cache(result, **CALL)


def test_a_result_is_safe_from_the_callers_later_changes(cache: Cache) -> None:
    result: dict[str, list[int]] = {"a": []}
    cache.add_cache(result, **CALL)
    result["a"].append(1)
    cache.get_cache(**CALL)["a"].append(2)
    assert cache.get_cache(**CALL) == {"a": []}


# ---- keys


def test_equal_calls_have_one_key(cache: Cache) -> None:
    reordered = dict(reversed(CALL.items()))
    assert cache.get_cache_key(**CALL) == cache.get_cache_key(**reordered)
    assert cache.get_cache_key(**CALL) == cache.get_cache_key(**CALL, call_type="completion")
    assert cache.get_cache_key(**CALL) == cache.get_cache_key(**CALL, call_type="acompletion")
    assert cache.get_cache_key(**CALL) == cache.get_cache_key(**CALL, stream=True)
    assert cache.get_cache_key(**CALL) == cache.get_cache_key(**CALL, cache={"ttl": 5})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"unknown": 1},
        {"unknown": None},
        {"caller": "alice"},
        {"caller": ""},
        {"namespace": "x"},
        {"cache": {"namespace": "x"}},
    ],
    ids=repr,
)
def test_different_calls_have_different_keys(cache: Cache, change: dict[str, Any]) -> None:
    assert cache.get_cache_key(**{**CALL, **change}) != cache.get_cache_key(**CALL)


def test_each_caller_has_a_key_of_its_own_unless_they_share() -> None:
    apart, shared = Cache(), Cache(share_between_callers=True)
    alice, bob = {**CALL, "caller": "alice"}, {**CALL, "caller": "bob"}
    assert apart.get_cache_key(**alice) != apart.get_cache_key(**bob)
    assert shared.get_cache_key(**alice) == shared.get_cache_key(**bob)


def test_a_key_begins_with_its_namespace(cache: Cache) -> None:
    assert cache.get_cache_key(**CALL).startswith("askonce:")
    assert cache.get_cache_key(**CALL, namespace="a b").startswith("askonce/a%20b:")
    assert Cache(namespace="t").get_cache_key(**CALL).startswith("t:")
    both = cache.get_cache_key(**CALL, namespace="x", cache={"namespace": "x"})
    assert both == cache.get_cache_key(**CALL, namespace="x")


def test_a_prompt_is_not_a_chat(cache: Cache) -> None:
    prompt = {"model": "m", "prompt": "hi"}
    key = cache.get_cache_key(**prompt, call_type="text_completion")
    assert key != cache.get_cache_key(model="m", messages=[])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"messages": "no list"}, "wrong-type"),
        ({"call_type": "text_completion"}, "shape"),
        ({"messages": [object()]}, "not-json"),
        ({"seed": float("nan")}, "not-json"),
        ({"store": True}, "store"),
        ({"namespace": "x", "cache": {"namespace": "y"}}, "namespace-conflict"),
        ({"call_type": "embedding"}, "call-type"),
    ],
    ids=repr,
)
async def test_a_call_that_cannot_be_cached_says_why_and_is_left_alone(
    cache: Cache, change: dict[str, Any], why: str
) -> None:
    call = {**CALL, **change}
    with pytest.raises(ValueError, match=why):
        cache.get_cache_key(**call)
    cache.add_cache(RESULT, **call)
    await cache.async_add_cache(RESULT, **call)
    assert cache.get_cache(**call) is None
    assert await cache.async_get_cache(**call) is None
    assert len(cache.backend) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"call_type": "telepathy"},
        {"cache": {"ttl": "soon"}},
        {"cache": {"tll": 5}},
        {"cache": {"no-cache": 1}},
        {"namespace": 5},
    ],
    ids=repr,
)
async def test_what_is_wrong_is_said(cache: Cache, change: dict[str, Any]) -> None:
    call = {**CALL, **change}
    with pytest.raises(ValueError, match=r"telepathy|ttl|tll|no-cache|namespace"):
        cache.get_cache(**call)
    with pytest.raises(ValueError, match=r"telepathy|ttl|tll|no-cache|namespace"):
        await cache.async_add_cache(RESULT, **call)


def test_a_call_type_that_the_operator_left_out_is_not_cached() -> None:
    made = Cache(supported_call_types=["text_completion"])
    made.add_cache(RESULT, **CALL)
    assert made.get_cache(**CALL) is None


# ---- what ``cache`` says


def test_a_result_is_fresh_for_the_operators_ttl(clock) -> None:
    made = Cache(ttl=10, stale_while_revalidate=100, clock=clock)
    made.add_cache(RESULT, **CALL)
    clock.now += 9
    assert made.get_cache(**CALL) == RESULT
    clock.now += 1
    assert made.get_cache(**CALL) is None


def test_a_call_may_name_its_own_ttl(clock) -> None:
    made = Cache(ttl=10, max_ttl=50, clock=clock)
    made.add_cache(RESULT, **CALL, cache={"ttl": 30})
    made.add_cache(RESULT, **CALL, seed=1, cache={"ttl": 1_000})
    clock.now += 29
    assert made.get_cache(**CALL) == RESULT
    clock.now += 1
    assert made.get_cache(**CALL) is None
    assert made.get_cache(**CALL, seed=1) == RESULT
    clock.now += 20
    assert made.get_cache(**CALL, seed=1) is None


def test_a_call_may_limit_the_age_that_it_takes(cache: Cache, clock) -> None:
    cache.add_cache(RESULT, **CALL)
    clock.now += 5
    assert cache.get_cache(**CALL, cache={"s-maxage": 5}) == RESULT
    assert cache.get_cache(**CALL, cache={"s-maxage": 4}) is None


def test_a_call_may_refuse_what_is_stored(cache: Cache) -> None:
    cache.add_cache(RESULT, **CALL)
    assert cache.get_cache(**CALL, cache={"no-cache": True}) is None
    assert cache.get_cache(**CALL, cache={"no-cache": False}) == RESULT


def test_a_call_may_forbid_to_store(cache: Cache) -> None:
    cache.add_cache(RESULT, **CALL, cache={"no-store": True})
    assert cache.get_cache(**CALL) is None


def test_under_default_off_a_call_must_opt_in() -> None:
    made = Cache(mode="default_off")
    made.add_cache(RESULT, **CALL)
    made.add_cache(RESULT, **CALL, seed=1, cache={"use-cache": True})
    assert made.get_cache(**CALL, cache={"use-cache": True}) is None
    assert made.get_cache(**CALL, seed=1) is None
    assert made.get_cache(**CALL, seed=1, cache={"use-cache": True}) == RESULT


def test_a_result_that_is_too_large_is_not_stored() -> None:
    made = Cache(max_response_bytes=100)
    made.add_cache("x" * 200, **CALL)
    assert made.get_cache(**CALL) is None


def test_what_was_withheld_from_a_shared_key_must_not_come_back_in_a_result() -> None:
    made = Cache(share_between_callers=True)
    call = {**CALL, "metadata": {"team": "a"}}
    made.add_cache({"metadata": {"team": "a"}}, **call)
    assert made.get_cache(**call) is None
    made.add_cache({"choices": []}, **call)
    assert made.get_cache(**{**CALL, "metadata": {"team": "b"}}) == {"choices": []}
