"""Entries on primitives: what the journey asks of a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching._primitives import Item, Primitives
from askonce.codec import decode, encode
from askonce.errors import EntryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.entry import Entry


class Entries(Primitives):
    """Stores entries. What it cannot read is deleted, counted in ``undecodable``, and absent."""

    def __init__(self) -> None:
        self.undecodable: int = 0

    def get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None.

        Raises:
            BackendError: The backend failed.
        """
        data = self._call(self._read, (key,))[0]
        entry = self._entry(key, data)
        if entry is None and data is not None:
            self._call(self._remove, (key,))
        return entry

    async def async_get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None; see :meth:`get_entry`."""
        data = (await self._aread((key,)))[0]
        entry = self._entry(key, data)
        if entry is None and data is not None:
            await self._aremove((key,))
        return entry

    def look(self, _key: str, /) -> Entry | None:
        """Return an entry that is at hand, without waiting; None: it takes a call to find out.

        The journey looks before it calls ``async_get_entry``, which has a time limit and needs a
        turn of the event loop.
        """
        return None

    def set_entry(self, entry: Entry, retention: float) -> bool:
        """Store an entry under its own key.

        Args:
            entry: What to store.
            retention: Seconds to keep it; 0 or less deletes what is there.

        Returns:
            False if it is known not to be kept.

        Raises:
            BackendError: The backend failed.
        """
        self._keep([(entry.key, encode(entry), retention)])
        return retention > 0

    async def async_set_entry(self, entry: Entry, retention: float) -> None:
        """Store an entry under its own key; see :meth:`set_entry`."""
        await self._akeep([(entry.key, encode(entry), retention)])

    def _entry(self, key: str, data: bytes | None) -> Entry | None:
        try:
            return None if data is None else decode(data, key)
        except EntryError:
            self.undecodable += 1
            return None

    def _keep(self, items: Sequence[Item]) -> None:
        kept, gone = _parted(items)
        if gone:
            self._call(self._remove, gone)
        if kept:
            self._call(self._write, kept)

    async def _akeep(self, items: Sequence[Item]) -> None:
        kept, gone = _parted(items)
        if gone:
            await self._aremove(gone)
        if kept:
            await self._awrite(kept)


def _parted(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Part what is to be kept from what is over at once; of one key the last item counts."""
    last = {item[0]: item for item in items}
    kept = [item for item in last.values() if _lasts(item)]
    return kept, [item[0] for item in last.values() if not _lasts(item)]


def _lasts(item: Item) -> bool:
    return item[2] is None or item[2] > 0
