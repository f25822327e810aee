"""What is asked, and by whom: reads a request into a call type's Ask and its key.

Reading costs some microseconds, so every result is remembered under the exact bytes that it was
read from: a :class:`Sender` under the header fields that matter, a :class:`Question` under method,
path, query, content headers and body, a finished key under both. The memories are bounded.
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
SENDERS: Final = 4096
KEYS_PER_QUESTION: Final = 64
_OVERHEAD: Final = 1024
"""Bytes that a remembered question is taken to weigh beside its body."""


MemoKey: TypeAlias = tuple[str, str, bytes, bytes, bytes, bytes, bytes]
"""All that a question is read from."""


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


class Sender(msgspec.Struct, frozen=True, eq=False):
    """What a request's header fields say. Compared by identity: it is a part of memo keys.

    Args:
        sifted: The fields that matter, sorted by what they matter for.
        spoken: What Cache-Control says, for a body without a ``cache`` object.
    """

    sifted: scope.Sifted
    spoken: Directives


class Question(msgspec.Struct, frozen=True, eq=False):
    """What a request's body says.

    Args:
        call: The call type that read it.
        outcome: An Ask, why it is not cacheable, or None if it is not ours.
        control: The raw ``cache`` object, or None.
        cut: The body without its ``cache`` object and decoded; None if it goes on as it came.
        keys: Finished keys by sender, caller and namespace.
    """

    call: CallType
    outcome: Ask | Bypass | None
    control: Mapping[str, Any] | None
    cut: bytes | None
    keys: dict[tuple[Sender, tuple[str, ...] | UnknownCaller, str | None], str]


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
        self._wanted = scope.wanted(keyed_headers)
        self._max_bytes = max_bytes
        self._senders: Memo[Headers, Sender] = Memo(SENDERS)
        self._questions: Memo[MemoKey, Question] = Memo(MEMO_BYTES)

    def sender(self, headers: Headers) -> Sender:
        """Read the header fields of a request."""
        fields = scope.pick(headers, self._wanted)
        return self._senders.get(fields) or self._new_sender(fields)

    def _new_sender(self, fields: Headers) -> Sender:
        sifted = scope.sift(fields, self._extra)
        spoken = directives.read(sifted.control, None)
        assert isinstance(spoken, Directives)  # only a body can be in error
        sender = Sender(sifted, spoken)
        self._senders.put(fields, sender)
        return sender

    def recall(self, request: Request, sender: Sender) -> Question | None:
        """Return what was read from exactly these bytes before, or None."""
        return self._questions.get(_memo_key(request, sender))

    def read(self, request: Request, sender: Sender) -> Question:
        """Read the body of a request. Pure but for the memory."""
        question = self._question(request, sender.sifted.content_encoding)
        weight = _OVERHEAD + len(request.body) + len(question.cut or b"")
        self._questions.put(_memo_key(request, sender), question, weight)
        return question

    def _question(self, request: Request, coding: bytes) -> Question:
        call = request.route.call
        body = decoded(request.body, coding, self._max_bytes)
        if body is None:
            return Question(call, Bypass("content-encoding"), None, None, {})
        parsed = parse.parse(body)
        if isinstance(parsed, parse.Unreadable):
            return Question(call, Bypass(parsed.reason), None, None, {})
        outcome = call.ask(parsed.members, request.route.deployment, self._options)
        if outcome is None:
            return Question(call, None, None, None, {})
        if not parsed.exact:
            outcome = Bypass("number-range")
        return Question(call, outcome, parsed.control, parsed.cut, {})

    def key(self, journey: Journey) -> str:
        """Return the physical key of a request's answer, ``<namespace>:<hex>``."""
        known = journey.question.keys
        asker = (journey.sender, journey.request.caller, journey.spoken.namespace)
        key = known.get(asker)
        if key is None:
            if len(known) >= KEYS_PER_QUESTION:
                known.clear()
            key = known[asker] = self._key(journey)
        return key

    def _key(self, journey: Journey) -> str:
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
        call, digest = journey.question.call.name, journey.ask.digest
        return keys.entry_key(asker, place, call, digest, self._options)


def _memo_key(request: Request, sender: Sender) -> MemoKey:
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
