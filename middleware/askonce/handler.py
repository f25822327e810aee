"""The journey of a request: look up, decide, serve or forward, record, store.

Written once for whoever asks. It knows no ASGI: it is given a :class:`~askonce.questions.Request`
and says what to do in one of four ways: a :class:`~askonce.replies.Reply` to send, a
:class:`~askonce.outcomes.Forward` to carry to the app, a :class:`~askonce.outcomes.Passing` that
the app answers alone, or None for what is not ours.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, assert_never

from askonce.calls.base import Ask
from askonce.calls.registry import CALL_TYPES, Router
from askonce.entry import Entry
from askonce.heads import Heads
from askonce.outcomes import Forward, Outcome, Passing
from askonce.policy import decide as deciding
from askonce.policy import status
from askonce.policy.decide import Refuse, Serve, ServeStale, decide
from askonce.policy.directives import DirectiveError, Directives, read
from askonce.questions import Journey, Question, Questions, Request, Sender, label
from askonce.recording import Recording
from askonce.renditions import INLINE_BYTES, Renditions
from askonce.replies import Reply, Stored, only_if_cached, replay, wrong_cache_object
from askonce.wishes import key_options, policy_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.caching import Cache
    from askonce.settings import CacheSettings


class CachingHandler:
    """Takes requests through the cache.

    Args:
        settings: What the operator wants.
        cache: Where answers are kept.
        clock: Unix time in seconds.

    Attributes:
        route: Given a path and a root path, the route, or None if the path is not ours.
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

    async def arrive(self, request: Request) -> Outcome | None:
        """Say what to do with a request; None if it is not ours."""
        sender = self._questions.sender(request.headers)
        named = label(request, sender)
        question = self._questions.recall(named)
        if question is None:
            if len(request.body) <= INLINE_BYTES:
                question = self._questions.read(request, sender, named)
            else:
                question = await asyncio.to_thread(self._questions.read, request, sender, named)
        journey = self._journey(request, sender, question)
        if not isinstance(journey, Journey):
            return journey
        key = self._questions.key(journey)
        cache = self.cache
        found = cache.find(key) if cache.in_process else await cache.lookup(key)
        if found is None:
            return self._decided(journey, key, None)
        if not isinstance(found, Entry):
            return self._decided(journey, key, None, "backend-error")
        ask, call = journey.ask, question.call
        if found.shape == ask.shape and found.usage_due == ask.usage_due:
            rendition = call.render(found, ask)
        else:
            rendition = await self._renditions.convert(found, call, ask)
        # An entry that cannot be had in the shape asked for is as good as none.
        return self._decided(journey, key, Stored(found, rendition) if rendition else None)

    def _journey(
        self, request: Request, sender: Sender, question: Question
    ) -> Journey | Outcome | None:
        """The journey that a request goes on, or what to do at once."""
        ask, spoken = question.outcome, sender.spoken
        if ask is None:
            return None
        if question.control is not None:
            merged = read(sender.sifted.control, question.control)
            if isinstance(merged, DirectiveError):
                return wrong_cache_object(question.call, f"cache.{merged.member}", merged.message)
            spoken = merged
        if not isinstance(ask, Ask):
            return self._bypass(ask.reason, request, spoken, question.cut)
        reason = self._barred(request, sender, spoken)
        if reason is not None:
            return self._bypass(reason, request, spoken, question.cut)
        return Journey(request, sender, question, ask, spoken)

    def record(self, forward: Forward) -> Recording:
        """Return what has to be told of the app's answer."""
        return Recording(forward, self.cache, self._heads, self._options, self._clock)

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

    def _barred(self, request: Request, sender: Sender, spoken: Directives) -> str | None:
        if not isinstance(request.caller, tuple):
            return request.caller.reason
        if sender.sifted.doubled and not self._options.share_between_callers:
            return "doubled-credentials"
        return deciding.admit(spoken, self._options)

    def _bypass(
        self, reason: str, request: Request, spoken: Directives, cut: bytes | None
    ) -> Outcome:
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


def _router(settings: CacheSettings) -> Router:
    wanted = [CALL_TYPES[name] for name in settings.supported_call_types]
    return Router(wanted, {path: CALL_TYPES[name] for path, name in settings.routes.items()})
