"""One request or wrapped call as it is seen until it is over, and the event that it ends in.

Whoever takes it through the cache writes down what happens; nobody does, and nothing is made,
while a cache has no subscriber.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from askonce.observe.events import CacheEvent, Outcome, Usage
from askonce.observe.usage import usage_of

if TYPE_CHECKING:
    from askonce.entry import Entry, Shape
    from askonce.observe.hub import Events

INLINE_BYTES: Final = 256 * 1024
"""Bodies longer than this are read in a thread, so that the event loop is not held."""


class Observation:
    """What is known so far. The attributes are those of the event; see it for their meaning.

    Args:
        events: Where the event goes.
        call_type: Canonical name of the call type.
        namespace: The operator's namespace as it stands in keys.

    Attributes:
        recorded: True once the app's answer was there as a whole, and was looked at.
        broken: Why the answer broke off, if it did.
        underway: True while the answer is on its way into the store.
    """

    __slots__ = (
        "_age", "_began", "_call_type", "_events", "_key", "_namespace", "_over", "_said", "_ttl",
        "broken", "bytes", "forwarded", "model", "outcome", "reason", "recorded", "status",
        "stored", "underway",
    )  # fmt: skip

    def __init__(self, events: Events, call_type: str, namespace: str) -> None:
        self._events = events
        self._call_type = call_type
        self._namespace = namespace
        self._began = time.perf_counter()
        self._over = False
        self._key: str | None = None
        self._age: float | None = None
        self._ttl: float | None = None
        self._said: tuple[bytes, Shape] | None = None
        self.model: str | None = None
        self.outcome: Outcome | None = None
        self.forwarded: str | None = None
        self.reason: str | None = None
        self.stored = False
        self.status: int | None = None
        self.bytes = 0
        self.recorded = False
        self.underway = False
        self.broken: str | None = None

    def asked(self, model: str, key: str, *, silently: bool) -> None:
        """Write down what is asked.

        Args:
            model: The model.
            key: The physical key of the answer.
            silently: True if the key must leave no trace.
        """
        self.model = model
        self._namespace = key.rpartition(":")[0]
        self._key = None if silently else key

    def ends(self, outcome: Outcome, reason: str, forwarded: str | None = None) -> None:
        """Write down an outcome that needs no stored answer."""
        self.outcome, self.reason, self.forwarded = outcome, reason, forwarded

    def is_asked_on(self, why: str, reason: str | None) -> None:
        """Write down that the app answers, and is recorded."""
        self.outcome, self.forwarded, self.reason = "miss", why, reason
        self._age = self._ttl = self._said = None

    def serves(self, outcome: Outcome, entry: Entry, age: float, ttl: float) -> None:
        """Write down that a stored answer is served."""
        self.outcome, self._age, self._ttl = outcome, age, ttl
        self.says(entry.body, entry.shape)

    def says(self, body: bytes, shape: Shape) -> None:
        """Write down what is answered; only its usage is looked at."""
        self._said = (body, shape)

    def keeps(self, reason: str | None, ttl: float | None = None) -> None:
        """Write down what became of the app's answer.

        Args:
            reason: Why it is not stored; None if it is.
            ttl: Seconds for which it stays fresh.
        """
        self.recorded = True
        self.stored, self._ttl = reason is None, ttl
        self.reason = self.reason if reason is None else reason

    def dismiss(self) -> None:
        """Tell nothing: this turned out to be no call of a model."""
        self._over = True

    def finish(self) -> None:
        """Tell that it is over; whatever comes later is not told any more."""
        if self._over:
            return
        self._over = True
        if self.outcome is None and self.broken == "client-gone":
            self.outcome, self.reason = "gone", self.broken
        if self.outcome is not None:
            self._tell(self.outcome, time.perf_counter() - self._began)

    def _tell(self, outcome: Outcome, duration: float) -> None:
        if outcome == "miss" and not self.recorded:
            self.reason = self.broken or "unfinished"
        event = self._event(outcome, duration)
        body, shape = self._said or (b"", "plain")
        if len(body) > INLINE_BYTES and _in_a_loop():
            self._tell_later(event, body, shape)
        else:
            self._events.publish(replace(event, usage=usage_of(body, shape)))

    def _tell_later(self, event: CacheEvent, body: bytes, shape: Shape) -> None:
        def read(reading: asyncio.Future[Usage | None]) -> None:
            usage = None if reading.cancelled() else reading.result()
            self._events.publish(replace(event, usage=usage))

        reading = asyncio.get_running_loop().run_in_executor(None, usage_of, body, shape)
        reading.add_done_callback(read)
        self._events.await_reading(reading)

    def _event(self, outcome: Outcome, duration: float) -> CacheEvent:
        return CacheEvent(
            time=self._events.clock(),
            call_type=self._call_type,
            model=self.model,
            namespace=self._namespace,
            outcome=outcome,
            forwarded=self.forwarded,
            stored=self.stored,
            key=self._key,
            age=self._age,
            ttl=self._ttl,
            duration=duration,
            bytes=self.bytes,
            status=self.status,
            reason=self.reason,
        )


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
