"""What is asked, and by whom: reads a request into a call type's Ask and its key.

Reading costs some microseconds, so every result is remembered under the exact bytes that it was
read from: a :class:`Sender` under the header fields that matter, a :class:`Question` under method,
path, query, content headers and body, and what makes keys under who asks and where. The memories
are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from askonce.callers import NOBODY, UnknownCaller
from askonce.calls import keys, parse, scope
from askonce.calls.base import Ask, Bypass, CallType, KeyOptions, Route
from askonce.coding import decoded
from askonce.memo import Memo
from askonce.policy import directives
from askonce.policy.directives import Directives

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.entry import Headers

MEMO_BYTES: Final = 32 * 1024 * 1024
SENDER_BYTES: Final = 8 * 1024 * 1024
MAKER_BYTES: Final = 8 * 1024 * 1024
_OVERHEAD: Final = 1024
"""Bytes that anything remembered is taken to weigh beside what it was read from."""


Label: TypeAlias = tuple[str, str, bytes, bytes, bytes, bytes, bytes]
"""All that a question is read from."""
Asking: TypeAlias = tuple["Sender", tuple[str, ...] | UnknownCaller, str | None]
"""Who asks, and in which namespace."""


class Request(msgspec.Struct, gc=False):
    """A request on a path that is ours, free of any transport.

    Args:
        route: What ``route`` of the handler found for its path.
        method: The HTTP method.
        path: The path as the app sees it, with the root path that it is mounted at.
        raw_path: The path as it was sent, where decoding it may have lost a difference.
        query: The query string, without its question mark.
        headers: The header fields in order, names in lower case.
        body: The whole body as it was sent.
        caller: What tells this caller from others beyond the header fields, or why nobody can.
    """

    route: Route
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: Headers
    body: bytes
    caller: tuple[str, ...] | UnknownCaller = NOBODY


class Sender(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What a request's header fields say. Compared by identity: it is a part of memo keys.

    Args:
        sifted: The fields that matter, sorted by what they matter for.
        spoken: What Cache-Control says, for a body without a ``cache`` object.
    """

    sifted: scope.Sifted
    spoken: Directives


class Question(msgspec.Struct, eq=False, gc=False):
    """What a request's body says.

    Args:
        call: The call type that read it.
        outcome: An Ask, why it is not cacheable, or None if it is not ours.
        control: The raw ``cache`` object, or None.
        cut: The body without its ``cache`` object and decoded; None if it goes on as it came.
        asked: Who asked it last, and the key of the answer.
    """

    call: CallType
    outcome: Ask | Bypass | None
    control: Mapping[str, Any] | None
    cut: bytes | None
    asked: tuple[Asking, str] | None = None


class Journey(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A request that may be cached: all that is known of it before anything is looked up.

    Args:
        request: The request.
        sender: What its header fields say.
        question: What its body says.
        ask: The question's Ask.
        spoken: The client's directives, from header and body together.
    """

    request: Request
    sender: Sender
    question: Question
    ask: Ask
    spoken: Directives


class Questions:
    """Reads requests, and remembers what it read.

    Args:
        options: The operator's word on keys.
        namespace: The operator's namespace.
        keyed_headers: Header names that are keyed beyond the documented ones.
        max_bytes: The most bytes that a decoded body may have.
    """

    def __init__(
        self, options: KeyOptions, namespace: str, keyed_headers: Iterable[str], max_bytes: int
    ) -> None:
        self._options = options
        self._namespace = namespace
        self._extra = scope.field_names(keyed_headers)
        self._wanted = scope.Wanted(keyed_headers)
        self._max_bytes = max_bytes
        self._senders: Memo[Headers, Sender] = Memo(SENDER_BYTES)
        self._questions: Memo[Label, Question] = Memo(MEMO_BYTES)
        self._makers: Memo[tuple[object, ...], keys.KeyMaker] = Memo(MAKER_BYTES)

    def sender(self, headers: Headers) -> Sender:
        """Read the header fields of a request."""
        fields = scope.pick(headers, self._wanted)
        return self._senders.get(fields) or self._new_sender(fields)

    def _new_sender(self, fields: Headers) -> Sender:
        sifted = scope.sift(fields, self._extra)
        spoken = directives.read(sifted.control, None)
        assert isinstance(spoken, Directives)  # only a body can be in error
        sender = Sender(sifted, spoken)
        weight = _OVERHEAD + sum(len(name) + len(value) for name, value in fields)
        self._senders.put(fields, sender, weight)
        return sender

    def recall(self, label: Label) -> Question | None:
        """Return what was read from exactly these bytes before, or None."""
        return self._questions.get(label)

    def read(self, request: Request, sender: Sender, label: Label) -> Question:
        """Read the body of a request. Pure but for the memory."""
        question = self._question(request, sender.sifted.content_encoding)
        weight = _OVERHEAD + len(request.body) + len(question.cut or b"")
        self._questions.put(label, question, weight)
        return question

    def _question(self, request: Request, coding: bytes) -> Question:
        call = request.route.call
        body = decoded(request.body, coding, self._max_bytes)
        if body is None:
            return Question(call, Bypass("content-encoding"), None, None)
        parsed = parse.parse(body)
        if isinstance(parsed, parse.Unreadable):
            return Question(call, Bypass(parsed.reason), None, None)
        outcome = call.ask(parsed.members, request.route.deployment, self._options)
        if outcome is None:
            return Question(call, None, None, None)
        if not parsed.exact:
            outcome = Bypass("number-range")
        return Question(call, outcome, parsed.control, parsed.cut)

    def key(self, journey: Journey) -> str:
        """Return the physical key of a request's answer, ``<namespace>:<hex>``."""
        asking = (journey.sender, journey.request.caller, journey.spoken.namespace)
        asked = journey.question.asked
        if asked is not None and asked[0] == asking:
            return asked[1]
        key = self._maker(journey, asking).key(journey.ask.digest)
        journey.question.asked = (asking, key)
        return key

    def _maker(self, journey: Journey, asking: Asking) -> keys.KeyMaker:
        request, call = journey.request, journey.question.call
        place = (request.route, request.method, request.path, request.raw_path, request.query)
        known = self._makers.get((asking, place, call.name))
        if known is None:
            known = self._new_maker(journey)
            weight = _OVERHEAD + len(request.path) + len(request.raw_path) + len(request.query)
            self._makers.put((asking, place, call.name), known, weight)
        return known

    def _new_maker(self, journey: Journey) -> keys.KeyMaker:
        request, sifted = journey.request, journey.sender.sifted
        asker = keys.Asker(
            namespace=self._namespace,
            child=journey.spoken.namespace,
            credentials=() if self._options.share else sifted.caller,
            caller=() if isinstance(request.caller, UnknownCaller) else request.caller,
            keyed=sifted.keyed,
        )
        place = keys.Place(
            method=request.method,
            host=sifted.host,
            path=request.path,
            raw_path=request.raw_path,
            query=request.query,
            content_type=sifted.content_type,
            content_encoding=sifted.content_encoding,
            deployment=request.route.deployment,
        )
        return keys.KeyMaker(asker, place, journey.question.call.name, self._options)


def label(request: Request, sender: Sender) -> Label:
    """Name a question by all that it is read from."""
    sifted = sender.sifted
    return (
        request.method,
        request.path,
        request.raw_path,
        request.query,
        sifted.content_type,
        sifted.content_encoding,
        request.body,
    )
