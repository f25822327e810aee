"""The memo keeps what is hot and stays within its bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from askonce.memo import Memo


def test_what_was_put_is_found() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1)
    assert (memo.get("a"), memo.get("b")) == (1, None)


def test_what_is_asked_for_again_outlives_a_flood() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("hot", 1)
    for n in range(100):
        memo.put(f"cold{n}", n)
        assert memo.get("hot") == 1
    assert memo.get("cold0") is None


def test_what_is_too_heavy_is_not_kept_and_pushes_nothing_out() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 5)
    memo.put("heavy", 2, 6)
    assert (memo.get("a"), memo.get("heavy")) == (1, None)


def test_an_overwritten_value_is_weighed_once() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("b", 0)
    for n in range(100):
        memo.put("a", n, 2)
    assert (memo.get("a"), memo.get("b")) == (99, 0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), max_size=200))
def test_it_never_weighs_more_than_its_bound(puts: list[tuple[int, int]]) -> None:
    memo: Memo[int, int] = Memo(20)
    latest: dict[int, int] = {}
    for key, weight in puts:
        memo.put(key, weight, weight)
        latest[key] = weight
        kept = [found for k in range(21) if (found := memo.get(k)) is not None]
        assert len(kept) <= 20
    total = sum(w for gen in (memo._young, memo._old) for _, w in gen.values())
    assert total <= 20
