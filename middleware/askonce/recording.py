"""A forwarded request: listens to the answer as it passes, and stores it if it is clean.

A recording is told what the app sends, holds nothing back and changes nothing but the head. It
knows no transport: whoever carries the bytes calls ``head`` once, ``add`` for every chunk,
``conclude`` when the last one is there (before it is passed on, so that whoever asks next finds
the answer), and ``store`` after it was passed on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, get_args

from askonce.calls.base import Complete
from askonce.coding import decoded
from askonce.entry import Answer, Entry, Headers, Shape
from askonce.policy import status
from askonce.policy.decide import Why
from askonce.policy.storing import Keep, keep
from askonce.renditions import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.caching import Cache
    from askonce.heads import Heads
    from askonce.observe.observation import Observation
    from askonce.outcomes import Forward
    from askonce.parts import Parts
    from askonce.policy.head import Head
    from askonce.policy.options import Options

_MEMBERS: Final = {
    (why, stored): status.forward(why, stored=stored)
    for why in get_args(Why)
    for stored in (False, True)
}


class Recording:
    """Listens to one answer.

    Args:
        forward: What was forwarded.
        cache: Where a clean answer goes.
        heads: Reads the answer's head.
        options: The operator's policy.
        clock: Unix time in seconds.

    Attributes:
        keeper: Who keeps the answer: the cache, or its replaced parts.
        keeping: False once it is known that this answer is not stored.
        underway: True if the answer is on its way into a slow backend: ``store`` waits for it.
        unkept: Why the answer is not stored, as far as is known.
        shape: The answer's, once its head was heard.
    """

    __slots__ = (
        "_cache",
        "_chunks",
        "_clock",
        "_forward",
        "_head",
        "_headers",
        "_heads",
        "_kept",
        "_observation",
        "_options",
        "_size",
        "_status",
        "keeper",
        "keeping",
        "shape",
        "underway",
        "unkept",
    )

    _head: Head
    _headers: Headers
    _status: int

    def __init__(
        self,
        forward: Forward,
        cache: Cache,
        heads: Heads,
        options: Options,
        clock: Callable[[], float],
    ) -> None:
        self._forward = forward
        self._cache = cache
        self.keeper: Cache | Parts = cache
        self._heads = heads
        self._options = options
        self._clock = clock
        self._chunks: list[bytes] = []
        self._size = 0
        self._kept: tuple[Entry, float] | None = None
        self._observation = forward.journey.request.observation
        self.keeping = not forward.journey.spoken.no_store
        self.unkept: str | None = None if self.keeping else "no-store"
        self.underway = False
        self.shape: Shape = "plain"

    def head(self, status_code: int, headers: Headers) -> None:
        """Hear the head of the answer.

        Args:
            status_code: The HTTP status code.
            headers: The header fields as received.
        """
        head = self._heads.read(headers)
        self._status, self._headers, self._head, self.shape = status_code, headers, head, head.shape
        if status_code not in self._options.cacheable_statuses:
            self.drop("status")
        elif head.reason is not None:
            self.drop(head.reason)

    def add(self, chunk: bytes) -> None:
        """Hear a chunk of the body."""
        if not self.keeping:
            return
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._options.max_response_bytes:
            self.drop("too-large")

    def drop(self, reason: str) -> None:
        """Listen no more: this answer is not stored.

        Args:
            reason: Why not; what was known before counts more.
        """
        self.keeping = False
        self.unkept = self.unkept or reason
        self._chunks.clear()

    async def conclude(self) -> None:
        """Hear that the last chunk is there; from here on the answer can be found."""
        try:
            if self.keeping:
                await self._conclude()
        finally:
            if self._observation is not None:
                self._note(self._observation)

    def _note(self, observation: Observation) -> None:
        if self._kept is None:
            observation.keeps(self.unkept or "internal-error")
        else:
            observation.keeps(None, self._kept[0].ttl - self._head.age)
            observation.underway = self.underway

    def conclude_here(self) -> None:
        """Do what ``conclude`` and ``store`` do with a plain answer, and wait in this thread."""
        kept = self._examined() if self.keeping else None
        if kept is not None and self._cache.put(*kept):
            self._kept = kept
        elif kept is not None:
            self.unkept = "backend-error"
        if self._observation is not None:
            self._note(self._observation)

    async def _conclude(self) -> None:
        if self._size > INLINE_BYTES or self._head.coding:
            kept = await asyncio.to_thread(self._examined)
        else:
            kept = self._examined()
        if kept is None:
            return
        if not kept[0].usage_due and self._is_poorer(kept[0]):
            self.unkept = "usage"
            return
        underway = self.keeper.announce(*kept)
        if underway is None:
            self.unkept = "backend"
            return
        self._kept, self.underway = kept, underway

    async def store(self) -> None:
        """Wait until the answer is written. Call it after the last chunk was passed on."""
        stored = self._kept is not None and await self.keeper.store(*self._kept)
        if self._observation is not None:
            if not stored:
                self._observation.keeps(self.unkept or "backend-error")
            self._observation.finish()

    def member(self) -> bytes:
        """The Cache-Status member for the head, as much as is known now.

        A backend that failed to read will hardly write: then nothing is promised.
        """
        forward = self._forward
        if forward.detail is None and forward.exposed_key is None:
            return _MEMBERS[forward.why, self._kept is not None]
        return status.forward(
            forward.why,
            stored=self._kept is not None and forward.detail is None,
            detail=forward.detail,
            key=forward.exposed_key,
        )

    def _examined(self) -> tuple[Entry, float] | None:
        answer = self._answer()
        if answer is None:
            return None
        if self._observation is not None:
            self._observation.says(answer.body, answer.shape)
        journey = self._forward.journey
        verdict = journey.question.call.verdict(journey.ask, answer)
        if not isinstance(verdict, Complete):
            self.unkept = verdict.reason
            return None
        now, asked = self._clock(), journey.request.headers
        kept = keep(journey.spoken, answer, self._head, asked, now, self._options)
        if not isinstance(kept, Keep):
            self.unkept = kept.reason
            return None
        return self._entry(answer, kept, now), kept.retention

    def _answer(self) -> Answer | None:
        body = b"".join(self._chunks)
        if not _is_of_length(self._headers, b"%d" % len(body)):
            self.unkept = "content-length"
            return None
        head = self._head
        if head.coding:
            whole = decoded(body, head.coding, self._options.max_response_bytes)
            if whole is None:
                self.unkept = "content-encoding"
                return None
            body = whole
        return Answer(self._status, self._headers, body, head.shape, head.media_type)

    def _entry(self, answer: Answer, kept: Keep, now: float) -> Entry:
        return Entry(
            key=self._forward.key,
            stored_at=now - kept.age,
            ttl=kept.ttl,
            status=answer.status,
            headers=kept.headers,
            body=answer.body,
            shape=answer.shape,
            usage_due=self._forward.journey.ask.usage_due,
            vary=kept.vary,
            may_be_stale=kept.may_be_stale,
        )

    def _is_poorer(self, entry: Entry) -> bool:
        """An answer without a usage never replaces a fresh one that has it.

        A slow backend is not asked again, as the last chunk waits here.
        """
        stored = self._forward.stored
        there = self.keeper.known(entry.key) or (stored.entry if stored else None)
        return (
            there is not None
            and there.usage_due
            and there.vary == entry.vary
            and self._clock() < there.stored_at + there.ttl
        )


def _is_of_length(headers: Headers, length: bytes) -> bool:
    """False if a Content-Length among the fields says otherwise."""
    for name, value in headers:
        if name.lower() == b"content-length" and value.strip() != length:
            return False
    return True
