"""The journey of a call without HTTP: the same handler, keys, controls and storing rules.

It is written once, as a generator that says what it needs (:data:`Step`) and is told what came of
it; :mod:`askonce.wrap` does these things for sync and for async callers. The result travels as
JSON in the place of an answer's body, its type's name as a header field.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from askonce import _results
from askonce._arguments import Arguments, Given
from askonce._results import ABSENT, Results
from askonce.caching._failures import Failed
from askonce.caching._python_calls import Call, Uncached
from askonce.calls.base import Route
from askonce.calls.registry import CALL_TYPES, canonical
from askonce.entry import Entry
from askonce.handler import CachingHandler
from askonce.memo import Memo
from askonce.outcomes import Forward
from askonce.questions import Journey, Question, Request
from askonce.recording import Recording  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.caching import Cache
    from askonce.calls.base import CallType
    from askonce.observe.observation import Observation

_log = logging.getLogger("askonce")

_FUNCTIONS: Final = 1024
"""Functions whose result types are remembered for one cache."""


class Read(msgspec.Struct, frozen=True):
    """Read a call from its arguments; the answer is a Call, or Uncached."""

    asked: dict[str, Any]


class Find(msgspec.Struct, frozen=True):
    """Look an entry up, uncounted; the answer is an Entry, None, or Failed."""

    key: str


class Ask(msgspec.Struct, frozen=True):
    """Call the function; the answer is its result, or what it raised."""

    given: Given


class Keep(msgspec.Struct, frozen=True):
    """Let a recording come to its end."""

    recording: Recording


class Refresh(msgspec.Struct, frozen=True):
    """Follow another journey behind this one, once at a time for each key."""

    key: str
    journey: Steps


Step: TypeAlias = Read | Find | Ask | Keep | Refresh
Steps: TypeAlias = Generator[Step, Any, Any]


class Home:
    """What all functions wrapped for one cache share.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.handler = CachingHandler(cache.settings, cache, clock=cache.clock)
        self._results: Memo[Any, Results] = Memo(2 * _FUNCTIONS)

    def results(self, function: Callable[..., Any]) -> Results:
        """Return what is known of a function's results."""
        name = _results.identity(function)
        known = self._results.get(name)
        if known is None:
            known = Results(function)
            self._results.put(name, known)
        return known


class Wrapped:
    """One function and its calls.

    Args:
        cache: Where results are kept.
        function: The function.
        call_type: Name of the call type.
        refreshes: True if a stale result may be served while a fresh one is fetched behind it.

    Raises:
        ValueError: This version does not know the call type.
    """

    def __init__(
        self, cache: Cache, function: Callable[..., Any], call_type: str, *, refreshes: bool
    ) -> None:
        call = _call_type(call_type)
        home = cache.companion(Home)
        self._cache = cache
        self._handler = home.handler
        self._route = Route(call)
        self._arguments = Arguments(function, call.name)
        self._results = home.results(function)
        self._refreshes = refreshes

    def journey(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """Take a call through the cache; returns its result.

        Raises:
            TypeError: Arguments are wrong.
            ValueError: ``cache`` has a wrong member.
            Exception: Whatever the function raises.
        """
        given = self._arguments.read(args, kwargs)
        events = self._cache.events
        if events is None:
            return (yield from self._begin(given, None))
        observation = events.begin(self._route.call.name)
        try:
            return (yield from self._begin(given, observation))
        except BaseException as error:
            cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
            observation.broken = "cancelled" if cancelled else "exception"
            raise
        finally:
            observation.finish()

    def _begin(self, given: Given, observation: Observation | None) -> Steps:
        request = Request(self._route, "", "", b"", b"", (), b"", observation=observation)
        try:
            call = yield Read(given.asked)
        except ValueError:
            if observation is not None:
                observation.ends("invalid", "invalid-cache-control")
            raise
        reason = call.reason if isinstance(call, Uncached) else _uncached(call)
        if isinstance(call, Uncached) or reason is not None:
            self._handler.unread(request, reason or "")
            return (yield Ask(given))
        return (yield from self._look_up(given, call, request))

    def _look_up(self, given: Given, call: Call, request: Request) -> Steps:
        question = Question(self._route.call, call.ask, None, None)
        sender = self._handler.nobody
        journey = Journey(request, sender, question, call.ask, call.spoken)
        found = yield Find(call.key)
        result = self._results.read(found) if isinstance(found, Entry) else ABSENT
        if isinstance(found, Entry) and result is ABSENT:
            found = None  # as good as none
        if not isinstance(found, Failed):
            self._cache.count(found)
        outcome = self._handler.judge(journey, call.key, found, waits=not self._refreshes)
        if not isinstance(outcome, Forward):
            return self._served(result, found, journey, call.key)
        if outcome.meanwhile is None:
            return (yield from self._asked(given, outcome, result))
        yield Refresh(call.key, self._asked(given, outcome, ABSENT))
        return self._served(result, found, journey, call.key)

    def _asked(self, given: Given, forward: Forward, stale: Any) -> Steps:
        try:
            result = yield Ask(given)
        except Exception as error:
            status = getattr(error, "status_code", None)
            if stale is ABSENT or not self._handler.instead(forward, _status(status)):
                raise
            _log.exception("a wrapped function failed; a stale result stands in for it")
            entry = forward.stored.entry if forward.stored else None
            return self._served(stale, entry, forward.journey, forward.key)
        observation = forward.journey.request.observation
        written = self._written(result)
        if written is not None:
            if observation is not None:
                observation.bytes = len(written.body)
            recording = self._handler.record(forward)
            recording.head(200, written.headers)
            recording.add(written.body)
            yield Keep(recording)
        elif observation is not None:
            observation.keeps("result-type")
        return self._marked(result, forward.key, hit=False)

    def _written(self, result: Any) -> _results.Written | None:
        try:
            return self._results.write(result)
        except Exception:  # noqa: BLE001 - the caller's own class: whatever it raises
            _log.exception("a result could not be written as JSON; it is not stored")
            return None

    def _served(self, result: Any, entry: Any, journey: Journey, key: str) -> Any:
        observation = journey.request.observation
        if observation is not None and isinstance(entry, Entry):
            observation.bytes = len(entry.body)
        return self._marked(result, key, hit=True)

    def _marked(self, result: Any, key: str, *, hit: bool) -> Any:
        in_dicts = self._cache.settings.mark_hits
        return _results.mark(result, hit=hit, key=key, in_dicts=in_dicts)


def _call_type(name: str) -> CallType:
    known = CALL_TYPES.get(canonical(name) or "")
    if known is None:
        raise ValueError(
            f"call_type: {name!r} is not supported; allowed: {', '.join(sorted(CALL_TYPES))}"
        )
    return known


def _uncached(call: Call) -> str | None:
    return "stream" if call.ask.shape == "stream" else None


def _status(code: object) -> int | None:
    return code if type(code) is int else None
