"""The journey of a request: look up, decide, serve or forward, record, store.

Written once for whoever asks. It knows no ASGI: it is given a :class:`~askonce.questions.Request`
and says what to do in one of four ways: a :class:`~askonce.replies.Reply` to send, a
:class:`~askonce.outcomes.Forward` to carry to the app, a :class:`~askonce.outcomes.Passing` that
the app answers alone, or None for what is not ours.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from askonce import noting
from askonce.calls.base import Ask, Bypass
from askonce.calls.registry import CALL_TYPES, Router
from askonce.disabled import is_disabled
from askonce.entry import Entry
from askonce.heads import Heads
from askonce.outcomes import Forward, Outcome, Passing
from askonce.parts import Parts
from askonce.policy import decide as deciding
from askonce.policy import status
from askonce.policy.decide import Refuse, Serve, ServeStale, decide
from askonce.policy.directives import SILENT, DirectiveError, Directives, read
from askonce.questions import Journey, Label, Question, Questions, Request, Sender, label
from askonce.recording import Recording
from askonce.renditions import INLINE_BYTES, Renditions
from askonce.replies import Reply, Stored, only_if_cached, replay, wrong_cache_object
from askonce.wishes import key_options, policy_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.caching._replaced import Replaced
    from askonce.caching.caching import Cache, Failed
    from askonce.settings import CacheSettings


class CachingHandler:
    """Takes requests through the cache.

    Args:
        settings: What the operator wants.
        cache: Where answers are kept.
        clock: Unix time in seconds.

    Attributes:
        route: Given a path and a root path, the route, or None if the path is not ours.
        nobody: The sender of a request without header fields.
    """

    def __init__(
        self, settings: CacheSettings, cache: Cache, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.cache = cache
        self._clock = clock
        self._options = policy_options(settings)
        self._heads = Heads(self._options)
        self._expose_key = settings.expose_key
        self.route = _router(settings).match
        self._questions = Questions(
            key_options(settings),
            settings.namespace,
            settings.keyed_headers,
            settings.max_request_bytes,
        )
        self._renditions = Renditions()
        self.nobody = self._questions.sender(())

    async def arrive(self, request: Request) -> Outcome | None:
        """Say what to do with a request; None if the cache is to leave it untouched."""
        if is_disabled():
            return None
        sender = self._questions.sender(request.headers)
        named = label(request, sender)
        question = self._questions.recall(named) or await self._read(request, sender, named)
        journey = self._journey(request, sender, question)
        if not isinstance(journey, Journey):
            return journey
        cache = self.cache
        found: Entry | Failed | Bypass | None
        if cache.replaced is None:
            key = self._questions.key(journey)
            near = cache.find(key) if cache.in_process else cache.at_hand(key)
            found = near if near or cache.in_process else await cache.asked(key)
        else:
            key, found = await self._found_by_parts(journey, cache.replaced)
        if found is None:
            return self._decided(journey, key, None)
        if not isinstance(found, Entry):
            return self._not_found(journey, key, found)
        ask, call = journey.ask, question.call
        if found.shape == ask.shape and found.usage_due == ask.usage_due:
            rendition = call.render(found, ask)
        else:
            rendition = await self._renditions.convert(found, call, ask)
        # An entry that cannot be had in the shape asked for is as good as none.
        return self._decided(journey, key, Stored(found, rendition) if rendition else None)

    async def _read(self, request: Request, sender: Sender, named: Label) -> Question:
        # A few compressed kilobytes may be megabytes.
        if len(request.body) <= INLINE_BYTES and not sender.sifted.content_encoding:
            return self._questions.read(request, sender, named)
        return await asyncio.to_thread(self._questions.read, request, sender, named)

    async def _found_by_parts(
        self, journey: Journey, replaced: Replaced
    ) -> tuple[str, Entry | Failed | Bypass | None]:
        """The key of a request and what is there, where parts of the cache were replaced."""
        parts = self._parts(journey, replaced)
        text = await parts.key_text()
        if isinstance(text, Bypass):
            return "", text
        key = self._questions.key(journey, text)
        return key, await parts.find(key, self._clock(), self._options.ttl)

    def _not_found(self, journey: Journey, key: str, why: Failed | Bypass) -> Outcome:
        if isinstance(why, Bypass):
            return self._bypass(why.reason, journey.request, journey.spoken, journey.question.cut)
        return self._decided(journey, key, None, "backend-error")

    def _journey(
        self, request: Request, sender: Sender, question: Question
    ) -> Journey | Outcome | None:
        """The journey that a request goes on, or what to do at once."""
        ask, spoken = question.outcome, sender.spoken
        if ask is None:
            return None
        if question.control is not None:
            merged = _merged(sender, question.control)
            if isinstance(merged, DirectiveError):
                if request.observation is not None:
                    request.observation.ends("invalid", "invalid-cache-control")
                return wrong_cache_object(question.call, f"cache.{merged.member}", merged.message)
            spoken = merged
        if not isinstance(ask, Ask):
            return self._bypass(ask.reason, request, spoken, question.cut)
        reason = self._barred(request, sender, spoken)
        if reason is not None:
            return self._bypass(reason, request, spoken, question.cut)
        return Journey(request, sender, question, ask, spoken)

    def judge(
        self, journey: Journey, key: str, found: Entry | Failed | None, *, waits: bool
    ) -> Outcome:
        """Say what to do with a call without HTTP, once it was looked up.

        Args:
            journey: The call.
            key: The physical key of its result.
            found: What was found.
            waits: True if a stale result is no good, as nobody could fetch a fresh one behind it.
        """
        if not isinstance(found, Entry):
            return self._decided(journey, key, None, "backend-error" if found else None)
        rendition = journey.question.call.render(found, journey.ask)
        stored = Stored(found, rendition) if rendition else None
        outcome = self._decided(journey, key, stored)
        if waits and isinstance(outcome, Forward) and outcome.meanwhile is not None:
            if journey.request.observation is not None:
                journey.request.observation.is_asked_on(outcome.why, None)
            return msgspec.structs.replace(outcome, meanwhile=None, stored=stored)
        return outcome

    def record(self, forward: Forward) -> Recording:
        """Return what has to be told of the app's answer."""
        recording = Recording(forward, self.cache, self._heads, self._options, self._clock)
        replaced, journey = self.cache.replaced, forward.journey
        if replaced is not None and journey.request.path:
            recording.keeper = self._parts(journey, replaced)
        return recording

    def _parts(self, journey: Journey, replaced: Replaced) -> Parts:
        return Parts(self.cache, replaced, journey, self._questions)

    def instead(self, forward: Forward, status_code: int | None) -> Reply | None:
        """Return the stale answer that stands in for a failure of the app, if one may.

        Args:
            forward: What the app was asked.
            status_code: What it answered; None if it raised.
        """
        stored = forward.stored
        if stored is None:
            return None
        now, journey = self._clock(), forward.journey
        if not deciding.stale_on_error(
            status_code, journey.spoken, stored.entry, journey.request.headers, now, self._options
        ):
            return None
        age = now - stored.entry.stored_at
        left = stored.entry.ttl - age
        if journey.request.observation is not None:
            noting.stands_in(journey.request.observation, stored.entry, age, status_code)
        member = status.forward("stale", status=status_code, ttl=left, detail="stale-if-error")
        return replay(stored, member, age)

    def unread(self, request: Request, reason: str) -> Outcome:
        """Say what to do with a request whose body, or whose sender, cannot be read.

        Args:
            request: The request; its body is not looked at.
            reason: A token for ``detail=`` in Cache-Status.
        """
        spoken = self._questions.sender(request.headers).spoken
        return self._bypass(reason, request, spoken, None)

    def failed(self, request: Request) -> Outcome:
        """Say what to do with a request that could not be taken through the cache."""
        return self._bypass("internal-error", request, SILENT, None)

    def _barred(self, request: Request, sender: Sender, spoken: Directives) -> str | None:
        if not isinstance(request.caller, tuple):
            return request.caller.reason
        if sender.sifted.doubled and not self._options.share_between_callers:
            return "doubled-credentials"
        return deciding.admit(spoken, self._options)

    def _bypass(
        self, reason: str, request: Request, spoken: Directives, cut: bytes | None
    ) -> Outcome:
        self.cache.count_bypass()
        if request.observation is not None:
            noting.bypassed(request.observation, reason, spoken)
        if spoken.only_if_cached:
            return only_if_cached(request.route.call)
        return Passing(status.forward("bypass", detail=reason), cut)

    def _decided(
        self, journey: Journey, key: str, stored: Stored | None, detail: str | None = None
    ) -> Outcome:
        now = self._clock()
        entry = stored.entry if stored else None
        headers = journey.request.headers
        decision = decide(journey.spoken, entry, headers, now, self._options)
        if journey.request.observation is not None:
            noting.decided(journey, key, entry, decision, detail)
        shown, cut = key if self._expose_key else None, journey.question.cut
        match decision:
            case Serve():
                assert stored is not None
                member = status.hit(decision.ttl, key=shown)
                return replay(stored, member, decision.age)
            case ServeStale():
                assert stored is not None
                member = status.hit(decision.ttl, stale=True, key=shown)
                reply = replay(stored, member, decision.age)
                return Forward(journey, key, "stale", cut, meanwhile=reply)
            case deciding.Forward():
                return Forward(journey, key, decision.why, cut, detail, shown, stored)
            case Refuse():
                return only_if_cached(journey.question.call)
            case _:
                assert_never(decision)


def _merged(
    sender: Sender, control: Mapping[str, Any] | DirectiveError
) -> Directives | DirectiveError:
    if isinstance(control, DirectiveError):
        return control
    return read(sender.sifted.control, control)


def _router(settings: CacheSettings) -> Router:
    wanted = [CALL_TYPES[name] for name in settings.supported_call_types]
    return Router(wanted, {path: CALL_TYPES[name] for path, name in settings.routes.items()})
