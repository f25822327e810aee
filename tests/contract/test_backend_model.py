"""Every backend against a dict and a clock, over random operations."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from askonce.entry import Entry
from askonce.errors import BackendError

KEYS = st.sampled_from(["a:1", "a:2", "a/b:1", "ab:1", "b:1"])
NUMBERS = st.integers(-100, 100) | st.sampled_from([0.5, -0.25])
VALUES = st.none() | st.booleans() | NUMBERS | st.text("ab", max_size=2) | st.just([{"a": None}])
# Powers of two: sums of them are exact, so that both clocks mean the same moment.
SECONDS = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 64.0])
TTLS = st.none() | SECONDS


def entry(key: str, number: int) -> Entry:
    return Entry(key, float(number), 60.0, 200, (), b"%d" % number, "plain", usage_due=False)


class Model(RuleBasedStateMachine):
    """Each rule does one thing to the backend and to the dict, and compares the answers.

    The dict has key -> (value or Entry, when it is over).
    """

    def __init__(self, kind: Any, clock: Any) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = clock
        self.backend = kind.make(Path(self.directory.name), clock)
        self.model: dict[str, tuple[Any, float]] = {}

    def teardown(self) -> None:
        asyncio.run(self.backend.disconnect())
        self.directory.cleanup()

    def there(self, key: str) -> Any:
        value, over = self.model.get(key, (None, 0.0))
        if over <= self.clock.now:
            self.model.pop(key, None)
            return None
        return value

    def put(self, key: str, value: Any, ttl: float | None) -> None:
        over = float("inf") if ttl is None else self.clock.now + ttl
        self.model[key] = (value, over)
        if value is None or over <= self.clock.now:
            del self.model[key]

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set_cache(self, key: str, value: Any, ttl: float | None) -> None:
        self.backend.set_cache(key, value, ttl=ttl)
        self.put(key, value, ttl)

    @rule(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=4), ttl=TTLS)
    def set_pipeline(self, pairs: list[tuple[str, Any]], ttl: float | None) -> None:
        asyncio.run(self.backend.async_set_cache_pipeline(pairs, ttl=ttl))
        for key, value in pairs:
            self.put(key, value, ttl)

    @rule(key=KEYS, number=st.integers(0, 9), retention=SECONDS)
    def set_entry(self, key: str, number: int, retention: float) -> None:
        self.backend.set_entry(entry(key, number), retention)
        self.put(key, entry(key, number), retention)

    @rule(key=KEYS)
    def get_cache(self, key: str) -> None:
        value = self.there(key)
        if isinstance(value, Entry):
            del self.model[key]
            value = None
        assert repr(self.backend.get_cache(key)) == repr(value)

    @rule(key=KEYS)
    def get_entry(self, key: str) -> None:
        value = self.there(key)
        if not isinstance(value, Entry):
            self.model.pop(key, None)
            value = None
        assert self.backend.get_entry(key) == value

    @rule(key=KEYS, amount=NUMBERS, ttl=TTLS)
    def increment(self, key: str, amount: float, ttl: float | None) -> None:
        value = self.there(key)
        if value is None:
            assert self.backend.increment_cache(key, amount, ttl=ttl) == amount
            self.put(key, amount, ttl)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            with pytest.raises(BackendError):
                self.backend.increment_cache(key, amount, ttl=ttl)
        else:
            assert self.backend.increment_cache(key, amount, ttl=ttl) == value + amount
            self.model[key] = (value + amount, self.model[key][1])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.backend.delete_cache(key) is (self.there(key) is not None)
        self.model.pop(key, None)

    @rule(namespace=st.sampled_from(["a", "a/b", "b", "c", None]))
    def flush(self, namespace: str | None) -> None:
        self.backend.flush_cache(namespace)
        beginnings = ("",) if namespace is None else (f"{namespace}:", f"{namespace}/")
        for key in [key for key in self.model if key.startswith(beginnings)]:
            del self.model[key]

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def reconnect(self) -> None:
        asyncio.run(self.backend.disconnect())


def test_a_backend_is_a_dict_with_a_clock(kind, clock) -> None:
    run_state_machine_as_test(
        lambda: Model(kind, clock),
        settings=settings(max_examples=kind.examples, stateful_step_count=30, deadline=None),
    )
