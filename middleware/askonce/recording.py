"""A forwarded request: listens to the answer as it passes, and stores it if it is clean.

A recording is told what the app sends, holds nothing back and changes nothing but the head. It
knows no transport: whoever carries the bytes calls ``head`` once, ``add`` for every chunk,
``conclude`` when the last one is there (before it is passed on, so that whoever asks next finds
the answer), and ``store`` after it was passed on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from askonce.calls.base import Complete
from askonce.coding import decoded
from askonce.entry import Answer, Entry, Headers, Shape
from askonce.policy import decide as deciding
from askonce.policy import status
from askonce.policy.fields import Fields, gather
from askonce.policy.storing import Keep, keep, personal
from askonce.renditions import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.caching import Cache
    from askonce.policy.options import Options
    from askonce.questions import Journey

_DESCRIBING: Final = frozenset({b"content-encoding", b"content-length", b"content-type"})
"""The fields that say how a body is to be read."""


class Errand(msgspec.Struct, frozen=True, eq=False):
    """What is forwarded, and why.

    Args:
        journey: The request.
        key: The physical key of its answer.
        why: Why it is forwarded (RFC 9211 section 2.2).
        detail: Free text for Cache-Status, or None.
        exposed_key: The key, if Cache-Status may say it.
    """

    journey: Journey
    key: str
    why: deciding.Why
    detail: str | None = None
    exposed_key: str | None = None


class Recording:
    """Listens to one answer.

    Args:
        errand: What was forwarded.
        cache: Where a clean answer goes.
        options: The operator's policy.
        clock: Unix time in seconds.
    """

    __slots__ = (
        "_cache",
        "_chunks",
        "_clock",
        "_errand",
        "_fields",
        "_head",
        "_keeping",
        "_kept",
        "_options",
        "_size",
        "shape",
    )

    def __init__(
        self, errand: Errand, cache: Cache, options: Options, clock: Callable[[], float]
    ) -> None:
        self._errand = errand
        self._cache = cache
        self._options = options
        self._clock = clock
        self._chunks: list[bytes] = []
        self._size = 0
        self._head: tuple[int, Headers] = (0, ())
        self._fields: Fields = {}
        self._keeping = not errand.journey.spoken.no_store
        self._kept: tuple[Entry, float] | None = None
        self.shape: Shape = "plain"

    def head(self, status_code: int, headers: Headers) -> None:
        """Hear the head of the answer.

        Args:
            status_code: The HTTP status code.
            headers: The header fields as received.
        """
        self._head = (status_code, headers)
        self._fields = fields = gather(headers, _DESCRIBING)
        self.shape = "stream" if _is_stream(fields) else "plain"
        options = self._options
        if status_code not in options.cacheable_statuses or personal(headers, options, self.shape):
            self._keeping = False

    def add(self, chunk: bytes) -> None:
        """Hear a chunk of the body."""
        if not self._keeping:
            return
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._options.max_response_bytes:
            self.drop()

    def drop(self) -> None:
        """Listen no more: this answer is not stored."""
        self._keeping = False
        self._chunks.clear()

    async def conclude(self) -> None:
        """Hear that the last chunk is there; from here on the answer can be found."""
        if not self._keeping:
            return
        if self._size > INLINE_BYTES:
            self._kept = await asyncio.to_thread(self._examined)
        else:
            self._kept = self._examined()
        if self._kept and await self._is_poorer(self._kept[0]):
            self._kept = None
        if self._kept:
            self._cache.announce(*self._kept)

    async def store(self) -> None:
        """Write the answer, if it is to be kept. Call it after the last chunk was passed on."""
        if self._kept:
            await self._cache.store(*self._kept)

    def member(self) -> bytes:
        """The Cache-Status member for the head, as much as is known now.

        A backend that failed to read will hardly write: then nothing is promised.
        """
        errand = self._errand
        return status.forward(
            errand.why,
            stored=self._kept is not None and errand.detail is None,
            detail=errand.detail,
            key=errand.exposed_key,
        )

    def _examined(self) -> tuple[Entry, float] | None:
        answer = self._answer()
        if answer is None:
            return None
        journey = self._errand.journey
        if not isinstance(journey.question.call.verdict(journey.ask, answer), Complete):
            return None
        now = self._clock()
        kept = keep(journey.spoken, answer, journey.request.headers, now, self._options)
        return (self._entry(answer, kept, now), kept.retention) if isinstance(kept, Keep) else None

    def _answer(self) -> Answer | None:
        status_code, headers = self._head
        body = b"".join(self._chunks)
        lengths = self._fields.get(b"content-length", ())
        if any(length.strip() != b"%d" % len(body) for length in lengths):
            return None
        coding = b",".join(self._fields.get(b"content-encoding", ()))
        plain = decoded(body, coding, self._options.max_response_bytes)
        return None if plain is None else Answer(status_code, headers, plain, self.shape)

    def _entry(self, answer: Answer, kept: Keep, now: float) -> Entry:
        return Entry(
            key=self._errand.key,
            stored_at=now - kept.age,
            ttl=kept.ttl,
            status=answer.status,
            headers=kept.headers,
            body=answer.body,
            shape=answer.shape,
            usage_due=self._errand.journey.ask.usage_due,
            vary=kept.vary,
            may_be_stale=kept.may_be_stale,
        )

    async def _is_poorer(self, entry: Entry) -> bool:
        """An answer without a usage never replaces a fresh one that has it."""
        if entry.usage_due:
            return False
        there = await self._cache.lookup(entry.key)
        return (
            isinstance(there, Entry)
            and there.usage_due
            and there.vary == entry.vary
            and self._clock() < there.stored_at + there.ttl
        )


def _is_stream(fields: Fields) -> bool:
    types = fields.get(b"content-type", ())
    return any(value.lower().lstrip().startswith(b"text/event-stream") for value in types)
