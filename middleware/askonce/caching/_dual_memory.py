"""The memory tier of the dual cache: what this process remembers of Redis, and when it may say so.

*It answers on a lease.* The listener (:mod:`askonce.caching._invalidation`) hears of every key
that anybody changes, and of the server's pulse. Each pulse lets memory answer for a little longer;
when the pulse stops memory falls silent by itself, whatever else hangs. While silent it is kept:
if Redis cannot be reached by requests either, it goes on serving what it has, the best there is.
If Redis can be reached, Redis is asked. Before memory answers on a new lease it forgets all that
it was told nothing about: see ``_uncovered``.

*What it takes from Redis has a ticket.* A change that is heard of while a value is on its way from
Redis takes the ticket away: the value may be the old one, and is not kept.

*What this process writes itself comes back as a change too.* The echo does not say whose it is,
and the server makes one of many that come together. So such a key is not forgotten at once but
compared: once the write has ended and its echo must have come, memory must have what Redis has.
"""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# It is a part of a backend that is made of backends: it calls their primitives.

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from askonce.caching._invalidation import LEASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from askonce.caching._dual_misses import KnownMisses
    from askonce.caching._primitives import Item
    from askonce.caching.in_memory_cache import InMemoryCache
    from askonce.entry import Entry

PAUSE: Final = 0.5
"""Seconds for which memory answers alone, after a request has found that Redis is down."""

Found: TypeAlias = tuple[bytes, float | None]
"""Bytes, and the seconds that Redis still keeps them; None: without a limit."""
Tickets: TypeAlias = dict[str, object]


class MemoryTier:
    """Memory in front of Redis. Thread-safe.

    Args:
        memory: Where it keeps things.
        misses: What Redis was found not to have; kept as true as memory is.
        ttl: The most seconds that it keeps anything; None: no limit.
        namespace: What Redis has before the colon of keys that are named without it here.
        alone: True if there is no Redis: memory then always answers.

    Attributes:
        is_covered: True while all changes are heard of.
        until: The monotonic time until which memory may answer.
    """

    def __init__(
        self,
        memory: InMemoryCache,
        misses: KnownMisses,
        ttl: float | None,
        namespace: str | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.memory = memory
        self.misses = misses
        self.ttl = ttl
        self._namespace = namespace
        self.is_covered = False
        self.until = math.inf if alone else -math.inf
        self._down_until = -math.inf
        self._uncovered = False
        self._lock = threading.Lock()
        self._tickets: Tickets = {}
        self._pulse = -math.inf
        self._writing: dict[str, int] = {}
        self._written: dict[str, float] = {}

    # ---- when it may answer

    @property
    def may_answer(self) -> bool:
        """Whether it is on a lease, or Redis is known to be down."""
        return time.monotonic() < self.until

    @property
    def redis_is_down(self) -> bool:
        """Whether a request found so a moment ago, so that it need not be tried again."""
        return time.monotonic() < self._down_until

    def cover(self) -> None:
        """From now on every change is heard of. Forget what could have changed before."""
        with self._lock:
            if self._uncovered:
                self._forget_all()
            self._tickets.clear()
            self._uncovered = False
            self.is_covered = True
            self._down_until = -math.inf

    def renew(self, pulse: float) -> None:
        """All changes from before a monotonic time were heard of: memory may answer on."""
        with self._lock:
            if self.is_covered:
                self._pulse = pulse
                self.until = pulse + LEASE

    def uncover(self) -> None:
        """Changes are not heard of any more: fall silent."""
        with self._lock:
            self.is_covered = False
            self._uncovered = True
            self.until = -math.inf
            self._tickets.clear()
            self._written.clear()

    def redis_failed(self) -> None:
        """A request got no answer from Redis; without a pulse either, it is down."""
        with self._lock:
            if not self.is_covered:
                self.until = self._down_until = time.monotonic() + PAUSE

    # ---- taking from Redis

    def tickets(self, keys: Iterable[str]) -> Tickets:
        """Return tickets for what is about to be asked of Redis; hand them back with ``end``."""
        with self._lock:
            return {key: self._tickets.setdefault(key, object()) for key in keys}

    def take(self, tickets: Tickets, found: Mapping[str, Found | None]) -> None:
        """Keep what Redis had, and remember what it had not, where nothing changed meanwhile."""
        with self._lock:
            valid = [key for key in found if self._take_back(key, tickets)]
            self.misses.note(key for key in valid if found[key] is None)
            if self.is_covered:
                pairs = [(key, found[key]) for key in valid]
                self.memory._write(
                    [(key, pair[0], self.limited(pair[1])) for key, pair in pairs if pair]
                )

    def take_entry(self, tickets: Tickets, entry: Entry, left: float | None) -> None:
        """Keep an entry that Redis had, if it did not change meanwhile."""
        with self._lock:
            if self._take_back(entry.key, tickets) and self.is_covered:
                self._put_entry(entry, left)

    def end(self, tickets: Tickets) -> None:
        """Take back the tickets that were not used."""
        with self._lock:
            for key in tickets:
                self._take_back(key, tickets)

    # ---- changes that this process makes

    def begin_write(self, keys: Iterable[str]) -> None:
        """Note that keys are about to be written by this process; ``end_write`` follows."""
        with self._lock:
            for key in keys:
                self._tickets.pop(key, None)
                self._written.pop(key, None)
                self._writing[key] = self._writing.get(key, 0) + 1
            self._uncovered = self._uncovered or not self.is_covered
        self.misses.forget(keys)

    def end_write(self, keys: Iterable[str]) -> None:
        """Note that a write has ended: memory and Redis can soon be compared."""
        with self._lock:
            for key in keys:
                self._writing[key] -= 1
                if not self._writing[key]:
                    del self._writing[key]
                    if self.is_covered:
                        self._written[key] = time.monotonic()

    def keep(self, items: Sequence[Item]) -> None:
        """Keep what this process writes."""
        self.memory._write([(key, data, self.limited(left)) for key, data, left in items])

    def keep_entry(self, entry: Entry, retention: float) -> None:
        """Keep an entry that this process writes; 0 seconds or less delete what is there."""
        self._put_entry(entry, retention)

    def forget(self, keys: Sequence[str]) -> int:
        """Forget keys; values of theirs that are on their way are not kept. Returns how many."""
        with self._lock:
            return self._forget(keys)

    def forget_all(self, prefixes: Sequence[str] | None) -> int:
        """Forget all keys that begin with one of ``prefixes``; None: all. Returns how many."""
        with self._lock:
            self._tickets.clear()
            self.misses.clear()
            return self.memory._clear(prefixes)

    # ---- changes that somebody made

    def changed(self, keys: Sequence[str] | None) -> None:
        """Hear of changes in Redis; None: of everything."""
        with self._lock:
            if keys is None:
                self._forget_all()
                return
            named = self._named(keys)
            self._forget([key for key in named if not self._is_own(key)])
            for key in named:
                self._tickets.pop(key, None)
            self.misses.forget(named)

    def written(self) -> list[str]:
        """Return the keys that are to be compared now: their writes ended, and were heard of."""
        with self._lock:
            heard_of = [key for key, ended in self._written.items() if ended < self._pulse]
            for key in heard_of:
                del self._written[key]
            return heard_of

    def not_compared(self, keys: Iterable[str]) -> None:
        """Take back keys that could not be compared."""
        with self._lock:
            for key in keys:
                self._written.setdefault(key, -math.inf)

    def compare(self, key: str, data: bytes | None) -> None:
        """Forget a key under which Redis has other bytes, unless it is just being written."""
        with self._lock:
            held = self.memory._read((key,))[0]
            if held is not None and held != data and not self._is_own(key):
                self._forget((key,))

    def limited(self, seconds: float | None) -> float | None:
        """Return for how many seconds memory keeps what is to be kept so long; None: no limit."""
        limits = [limit for limit in (seconds, self.ttl) if limit is not None]
        return min(limits, default=None)

    def left(self, key: str) -> float | None:
        """Return the seconds that memory still keeps a key; None: no limit, or it is not there."""
        slot = self.memory._slots.get(key)
        left = math.inf if slot is None else slot.expires - self.memory._clock()
        return left if 0 < left < math.inf else None

    # ---- under the lock

    def _is_own(self, key: str) -> bool:
        return key in self._writing or key in self._written

    def _named(self, keys: Sequence[str]) -> Sequence[str]:
        """Add the short names of keys."""
        if self._namespace is None:
            return keys
        before = f"{self._namespace}:"
        return [*keys, *(key.removeprefix(before) for key in keys if key.startswith(before))]

    def _forget(self, keys: Sequence[str]) -> int:
        for key in keys:
            self._tickets.pop(key, None)
        self.misses.forget(keys)
        return self.memory._remove(keys)

    def _forget_all(self) -> None:
        self._tickets.clear()
        self.misses.clear()
        self.memory._clear(None)

    def _take_back(self, key: str, tickets: Tickets) -> bool:
        ticket = tickets.get(key)
        if ticket is None or self._tickets.get(key) is not ticket:
            return False
        del self._tickets[key]
        return True

    def _put_entry(self, entry: Entry, left: float | None) -> None:
        seconds = self.limited(left)
        self.memory.set_entry(entry, math.inf if seconds is None else seconds)
