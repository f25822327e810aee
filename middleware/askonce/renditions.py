"""Entries in a shape that they were not stored in.

Most are served as they were stored; these are the others. To build the other shape costs as much
as to read the answer, so what was built is remembered under the bytes that it was built of, and a
long answer is converted in a thread.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from askonce.memo import Memo

if TYPE_CHECKING:
    from askonce.calls.base import Ask, CallType, Rendition
    from askonce.entry import Entry

MEMO_BYTES: Final = 32 * 1024 * 1024
INLINE_BYTES: Final = 256 * 1024
"""Bodies longer than this are read in a thread, so that the event loop is not held."""


class Renditions:
    """Builds renditions, and remembers those that took work."""

    def __init__(self) -> None:
        self._memo: Memo[tuple[str, str, bytes, bool, str, bool], Rendition] = Memo(MEMO_BYTES)

    async def convert(self, entry: Entry, call: CallType, ask: Ask) -> Rendition | None:
        """Return an entry in a shape that it was not stored in.

        Args:
            entry: A stored answer.
            call: The call type of the question.
            ask: The question.

        Returns:
            The rendition, or None if the entry cannot serve this question.
        """
        name = (call.name, entry.shape, entry.body, entry.usage_due, ask.shape, ask.usage_due)
        known = self._memo.get(name)
        if known is not None:
            return known
        if len(entry.body) > INLINE_BYTES:
            rendition = await asyncio.to_thread(call.render, entry, ask)
        else:
            rendition = call.render(entry, ask)
        if rendition is not None:
            self._memo.put(name, rendition, len(entry.body) + len(rendition.body))
        return rendition
