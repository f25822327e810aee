"""Answers in this process's memory.

Entries are kept decoded: a hit is one look-up in a dictionary and a comparison with the clock,
takes no lock and never waits. JSON values are kept as their bytes, so that nobody's changes to a
list or dict reach the cache or come out of it. Room is bounded in entries and in bytes; what is
given up is chosen by :mod:`askonce.caching._s3fifo`, what is over is found by
:mod:`askonce.caching._expiry`, some of it at every write.

Writers hold a lock. Readers do not, so the order of what they see matters: the clock first, then
``expires``, then ``payload``; a writer that replaces a payload sets ``expires`` after it. So nobody
gets an old payload on a new payload's time.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from msgspec.structs import replace

from askonce.caching._expiry import Expiry
from askonce.caching._s3fifo import S3Fifo
from askonce.caching._sharing import FIELD_BYTES, SharedFields
from askonce.caching._slot import MAX_FREQUENCY, Slot
from askonce.caching.base_cache import BaseCache
from askonce.codec import Number, decode_number, encode, encode_value
from askonce.entry import Entry
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.caching._primitives import Item
    from askonce.settings import CacheSettings

T = TypeVar("T")

MAX_ENTRIES: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024
DEFAULT_TTL: Final = 600.0

SLOT_BYTES: Final = 270
"""Bytes that an item takes beside its key and payload; measured on CPython 3.11, 64 bits."""
ENTRY_BYTES: Final = 150
"""Bytes that an Entry takes beside its texts and header fields; measured likewise."""
_SWEPT: Final = 16
"""Expired items that a write clears away at most, so that no write pays for all of them."""


class InMemoryCache(BaseCache):
    """A backend in this process's memory. Thread-safe; nothing in it ever waits.

    Args:
        max_size_in_memory: The most items, 100,000 if None; 0 keeps nothing.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        max_size_per_item: The most KiB (1,024 bytes, the unit that LiteLLM's users know) that an
            item may count; None: ``max_bytes``.
        max_bytes: The most bytes that all items may count together: body, header fields and key,
            and what Python adds to them. 256 MiB if None.
        clock: Returns Unix time in seconds.
    """

    name: ClassVar[str] = "memory"
    in_process: ClassVar[bool] = True

    def __init__(
        self,
        max_size_in_memory: int | None = None,
        default_ttl: float | None = DEFAULT_TTL,
        max_size_per_item: float | None = None,
        *,
        max_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(default_ttl)
        entries = MAX_ENTRIES if max_size_in_memory is None else max_size_in_memory
        size = MAX_BYTES if max_bytes is None else max_bytes
        per_item = size if max_size_per_item is None else min(max_size_per_item * 1024, size)
        self._max_item = per_item if entries > 0 else -1
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[str, Slot] = {}
        self._queues = S3Fifo(entries, size)
        self._expiry = Expiry()
        self._fields = SharedFields()
        self._evictions = 0

    @classmethod
    def from_settings(
        cls, settings: CacheSettings, *, clock: Callable[[], float] = time.time, **driver: Any
    ) -> Self:
        """Make the backend that the settings describe.

        Args:
            settings: What the operator wants.
            clock: Returns Unix time in seconds.
            **driver: Parameters of the class; they win over the settings.
        """
        said: dict[str, Any] = {
            "max_size_in_memory": settings.memory_max_entries,
            "default_ttl": settings.effective_ttl,
            "max_bytes": settings.memory_max_bytes,
        }
        return cls(**said | driver, clock=clock)

    def __len__(self) -> int:
        """How many items there are, those included that are over but not yet cleared away."""
        return len(self._slots)

    @property
    def size(self) -> int:
        """Bytes that all items count together."""
        return self._queues.size

    @property
    def evictions(self) -> int:
        """How many live items were given up for want of room."""
        return self._evictions

    # ---- entries, decoded

    def get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None. Never fails."""
        slot = self._slots.get(key)
        if slot is None or self._clock() >= slot.expires:
            return None
        payload = slot.payload
        if not isinstance(payload, Entry):
            self._unfit(slot)
            return None
        if slot.frequency < MAX_FREQUENCY:
            slot.frequency += 1
        return payload

    async def async_get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None. Never waits, never fails."""
        return self.get_entry(key)

    def set_entry(self, entry: Entry, retention: float) -> bool:
        """Store an entry under its own key; one that is too large deletes what is there.

        Args:
            entry: What to store.
            retention: Seconds to keep it; 0 or less deletes what is there.

        Returns:
            False if it is not kept.
        """
        with self._lock:
            headers, size = self._fields.share(entry.headers)
            kept = replace(entry, headers=headers)
            now = self._clock()
            return self._put(entry.key, kept, size + _entry_size(entry), now + retention, now)

    async def async_set_entry(self, entry: Entry, retention: float) -> None:
        """Store an entry under its own key; see :meth:`set_entry`. Never waits."""
        self.set_entry(entry, retention)

    # ---- primitives

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._bytes(key) for key in keys]

    def _bytes(self, key: str) -> bytes | None:
        slot = self._slots.get(key)
        if slot is None or self._clock() >= slot.expires:
            return None
        if slot.frequency < MAX_FREQUENCY:
            slot.frequency += 1
        payload = slot.payload
        if isinstance(payload, Entry):
            return encode(payload)
        return payload or None

    def _write(self, items: Sequence[Item]) -> None:
        with self._lock:
            now = self._clock()
            for key, data, retention in items:
                self._put(key, data, _value_size(key, data), _end(now, retention), now)

    def _remove(self, keys: Sequence[str]) -> int:
        with self._lock:
            return sum(self._delete(key) for key in keys)

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        wanted = ("",) if prefixes is None else tuple(prefixes)
        with self._lock:
            keys = [key for key in self._slots if key.startswith(wanted)]
            return sum(self._delete(key) for key in keys)

    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        with self._lock:
            data, now = self._bytes(key), self._clock()
            if data is None:
                total, expires = amount, _end(now, retention)
            else:
                total, expires = self._sum(data, amount), self._slots[key].expires
            data = encode_value(total)
            self._put(key, data, _value_size(key, data), expires, now)
            return total

    def _sum(self, data: bytes, amount: Number) -> Number:
        number = decode_number(data)
        if number is None:
            raise BackendError(f"{self.name}: what is kept under this key is not a number")
        return number + amount

    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        return primitive(*args)

    # ---- under the lock

    def _put(self, key: str, payload: Entry | bytes, size: int, expires: float, now: float) -> bool:
        self._sweep(now)
        if size > self._max_item or expires <= now:
            self._delete(key)
            return False
        slot = self._slots.get(key)
        if slot is None:
            self._insert(Slot(key, payload, expires, size))
        else:
            self._replace(slot, payload, size, expires)
        return True

    def _insert(self, slot: Slot) -> None:
        while not self._queues.fits(1, slot.size):
            self._evict(None)
        self._queues.add(slot)
        self._expiry.add(slot)
        self._slots[slot.key] = slot

    def _replace(self, slot: Slot, payload: Entry | bytes, size: int, expires: float) -> None:
        while not self._queues.fits(0, size - slot.size):
            self._evict(slot)
        self._queues.resize(slot, size)
        before = slot.expires
        slot.payload = payload
        slot.expires = expires
        self._expiry.move(slot, before)

    def _evict(self, spared: Slot | None) -> None:
        self._forget(self._queues.evict(spared))
        self._evictions += 1

    def _delete(self, key: str) -> bool:
        """Delete an item. False if there was none, or if it was over."""
        slot = self._slots.get(key)
        if slot is None:
            return False
        was_over = slot.expires <= self._clock()
        self._queues.remove(slot)
        self._forget(slot)
        return not was_over

    def _sweep(self, now: float) -> None:
        for _ in range(_SWEPT):
            slot = self._expiry.pop(now)
            if slot is None:
                return
            self._queues.remove(slot)
            del self._slots[slot.key]
            slot.let_go()

    def _forget(self, slot: Slot) -> None:
        del self._slots[slot.key]
        ended = slot.expires
        slot.let_go()
        self._expiry.leave(ended)

    def _unfit(self, slot: Slot) -> None:
        """A value is there where an entry was looked for."""
        with self._lock:
            if self._slots.get(slot.key) is slot and not isinstance(slot.payload, Entry):
                self.undecodable += 1
                self._delete(slot.key)


def _end(now: float, retention: float | None) -> float:
    return math.inf if retention is None else now + retention


def _entry_size(entry: Entry) -> int:
    """Count an entry without its header fields."""
    size = SLOT_BYTES + ENTRY_BYTES + len(entry.key) + len(entry.body)
    for name, values in entry.vary:
        size += FIELD_BYTES + len(name) + sum(FIELD_BYTES + len(value) for value in values)
    return size


def _value_size(key: str, data: bytes) -> int:
    return SLOT_BYTES + len(key) + len(data)
