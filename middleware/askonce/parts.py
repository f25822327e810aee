"""A cache with replaced parts, as one request uses it.

A replacement gets the body's fields, and beside them

============= ==================================================================================
``call_type`` canonical name of the call type
``path``      the path as the app sees it
``caller``    a text that tells callers apart; only where header fields or the scope say who asks
``cache``     what the client says of caching, as the body's ``cache`` object has it; only where
              it says anything
============= ==================================================================================

The last two are for those that find and add answers on their own: an answer must not reach somebody
else. ``get_cache_key`` does not get them, for caller and namespace stay around what it returns. A
body with a field of such a name is not cached, as nobody could tell the two apart.

One that raises, or takes longer than a call of the backend may, costs no request more than the
cache: no key is a bypass, no look-up a miss. What ``get_cache`` returns is not trusted: a JSON
value has to be a complete answer to the request, and every field of an entry needs its type.
"""

from __future__ import annotations

import asyncio
import math
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import asdict, astuple, replace

from askonce.caching import _replaced
from askonce.calls.base import Bypass, Incomplete
from askonce.calls.canonical import packed
from askonce.entry import Answer, Entry
from askonce.errors import BackendError
from askonce.policy.directives import SILENT, Directives
from askonce.renditions import INLINE_BYTES

if TYPE_CHECKING:
    from askonce.caching._failures import Failed
    from askonce.caching._replaced import Part, Replaced
    from askonce.caching.caching import Cache
    from askonce.calls.keys import Asker
    from askonce.questions import Journey, Questions

_RESERVED: Final = frozenset({"call_type", "path", "caller", "cache"})
_CLASH: Final = Bypass("reserved-member")
_NO_KEY: Final = Bypass("custom-key-failed")
_MEDIA: Final = b"application/json"
_JSON: Final = ((b"content-type", _MEDIA),)
_SAID: Final = {
    "no_cache": "no-cache",
    "no_store": "no-store",
    "use_cache": "use-cache",
    "max_age": "s-maxage",
    "ttl": "ttl",
    "namespace": "namespace",
}
"""Directive to the member of a ``cache`` object that says it."""


class Parts:
    """One request's way through the replaced parts.

    Args:
        cache: The cache.
        replaced: Its replaced parts.
        journey: The request.
        questions: What reads requests.
    """

    __slots__ = ("_cache", "_journey", "_questions", "_read", "_replaced")

    def __init__(
        self, cache: Cache, replaced: Replaced, journey: Journey, questions: Questions
    ) -> None:
        self._cache = cache
        self._replaced = replaced
        self._journey = journey
        self._questions = questions
        self._read: dict[str, Any] | None = None

    async def key_text(self) -> str | Bypass | None:
        """Return what stands for the body in the key; None: its digest, as ever."""
        part = self._replaced.get_cache_key
        try:
            fields = await self._members()
            if not _RESERVED.isdisjoint(fields):
                return _CLASH
            if part is None:
                return None
            return _replaced.key_text(await self._call(part, **fields, **self._place()))
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises
            self._cache.failed("get_cache_key", error)
            return _NO_KEY

    async def find(self, key: str, now: float, ttl: float) -> Entry | Failed | None:
        """Look the answer up.

        Args:
            key: Its physical key.
            now: Unix time in seconds.
            ttl: Seconds for which a JSON value is fresh: it is taken to be as old as ``now``.
        """
        part = self._replaced.get_cache
        if part is None:
            return await self._cache.lookup(key)
        pending = self._cache.additions.find(key)
        if pending is not None:
            return self._cache.count(pending)
        try:
            found = await self._call(part, **await self._fields())
            if isinstance(found, Entry):
                found = _checked(found)
            elif found is not None:
                found = await self._complete(_entry(key, found, now, ttl))
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises
            return self._cache.failed("get_cache", error)
        return self._cache.count(found)

    # ---- as a recording keeps answers

    def known(self, key: str) -> Entry | None:
        """Return what an answer would replace. A replaced ``get_cache`` cannot say that."""
        return self._cache.known(key)

    def announce(self, entry: Entry, retention: float) -> bool | None:
        """Begin to keep an answer; see ``announce`` of the cache."""
        if self._replaced.add_cache is None:
            return self._cache.announce(entry, retention)
        self._cache.additions.begin(entry, lambda: self._add(entry))
        return True

    async def store(self, entry: Entry, retention: float) -> bool:
        """Keep an answer; see ``store`` of the cache."""
        if self._replaced.add_cache is None:
            return await self._cache.store(entry, retention)
        return await self._cache.additions.finish(entry, lambda: self._add(entry))

    async def _add(self, entry: Entry) -> bool:
        part = self._replaced.add_cache
        assert part is not None
        try:
            body = await self._plain(entry)
            if body is None:
                return False
            await self._call(part, msgspec.json.decode(body), **await self._fields())
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises
            self._cache.failed("add_cache", error)
            return False
        return True

    async def _call(self, part: Part, /, *args: Any, **fields: Any) -> Any:
        limit = self._cache.settings.effective_backend_timeout
        return await _replaced.call(part, limit, *args, **fields)

    async def _complete(self, entry: Entry) -> Entry:
        """Return the entry of a JSON value, if that is an answer that would have been stored."""
        asked = replace(self._journey.ask, shape="plain")
        answer = Answer(entry.status, entry.headers, entry.body, entry.shape, _MEDIA)
        verdict = self._journey.question.call.verdict
        if len(entry.body) > INLINE_BYTES:
            said = await asyncio.to_thread(verdict, asked, answer)
        else:
            said = verdict(asked, answer)
        if isinstance(said, Incomplete):
            raise BackendError(f"it returned no complete answer: {said.reason}")
        return entry

    async def _plain(self, entry: Entry) -> bytes | None:
        """The answer as JSON; None if what was streamed cannot be put together."""
        asked = replace(self._journey.ask, shape="plain", usage_due=entry.usage_due)
        render = self._journey.question.call.render
        if len(entry.body) > INLINE_BYTES:
            rendition = await asyncio.to_thread(render, entry, asked)
        else:
            rendition = render(entry, asked)
        return rendition.body if rendition else None

    # ---- what a replacement gets

    async def _fields(self) -> dict[str, Any]:
        fields = {**await self._members(), **self._place()}
        asker = self._questions.asker(self._journey)
        if asker.credentials or asker.caller or asker.keyed:
            fields["caller"] = _caller(asker)
        if self._journey.spoken is not SILENT:
            fields["cache"] = _said(self._journey.spoken)
        return fields

    def _place(self) -> dict[str, str]:
        return {"call_type": self._journey.question.call.name, "path": self._journey.request.path}

    async def _members(self) -> dict[str, Any]:
        if self._read is None:
            journey, members = self._journey, self._questions.members
            coding = journey.sender.sifted.content_encoding
            if len(journey.request.body) > INLINE_BYTES or coding:
                self._read = await asyncio.to_thread(members, journey)
            else:
                self._read = members(journey)
        return self._read


def _caller(asker: Asker) -> str:
    """A text that tells callers apart and holds no secret."""
    who = [part.encode("utf-8", "surrogatepass") for part in asker.caller]
    return sha256(packed((asker.credentials, who, asker.keyed))).hexdigest()


def _said(spoken: Directives) -> dict[str, Any]:
    said = asdict(spoken)
    silent = asdict(SILENT)
    return {name: said[field] for field, name in _SAID.items() if said[field] != silent[field]}


def _entry(key: str, value: Any, now: float, ttl: float) -> Entry:
    """A JSON value as the answer that it stands for."""
    body = msgspec.json.encode(_replaced.as_json(value))
    return Entry(key, now, ttl, 200, _JSON, body, "plain", usage_due=True)


def _checked(entry: Entry) -> Entry:
    """Return an entry whose fields have their types.

    Raises:
        BackendError: One has not, or a value that no answer has.
    """
    try:
        checked = msgspec.convert(astuple(entry), Entry, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise BackendError("it returned an entry with a field of a wrong type") from error
    if not (math.isfinite(checked.stored_at) and math.isfinite(checked.ttl)):
        raise BackendError("it returned an entry with a time that is no number")
    if not 200 <= checked.status <= 599:
        raise BackendError("it returned an entry with a status that no answer has")
    return checked
