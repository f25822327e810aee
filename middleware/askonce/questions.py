"""What is asked, and by whom: reads a request into a call type's Ask and its key.

Reading costs some microseconds, so every result is remembered under the exact bytes that it was
read from: a :class:`Sender` under the header fields that matter, a :class:`Question` under method,
path, query, content headers and body, and what makes keys under who asks and where. The memories
are bounded.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from askonce.callers import NOBODY, UnknownCaller
from askonce.calls import keys, parse, scope
from askonce.calls.base import Ask, Bypass, CallType, KeyOptions, Route
from askonce.coding import decoded
from askonce.memo import Memo
from askonce.policy import directives
from askonce.policy.directives import DirectiveError, Directives

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.entry import Headers
    from askonce.observe.observation import Observation

MEMO_BYTES: Final = 32 * 1024 * 1024
SENDER_BYTES: Final = 8 * 1024 * 1024
MAKER_BYTES: Final = 8 * 1024 * 1024
_OVERHEAD: Final = 1024
"""Bytes that anything remembered is taken to weigh beside what it was read from."""


Label: TypeAlias = tuple[str, str | None, str, str, str, bytes, bytes, bytes, bytes, bytes]
"""All that a question is read from."""
Asking: TypeAlias = tuple[int, tuple[str, ...] | UnknownCaller, str | None]
"""Who asks, by the sender's number and the caller, and in which namespace."""


class Request(msgspec.Struct, gc=False):
    """A request on a path that is ours, free of any transport.

    Args:
        route: What ``route`` of the handler found for its path.
        method: The HTTP method.
        path: The path as the app sees it.
        raw_path: The path as it was sent, where decoding it may have lost a difference.
        query: The query string, without its question mark.
        headers: The header fields in order, names in lower case.
        body: The whole body as it was sent.
        caller: What tells this caller from others beyond the header fields, or why nobody can.
        root_path: Where the app is mounted. Frameworks differ in whether ``path`` begins with it.
        observation: Where to write down what happens; None if nobody wants to know.
    """

    route: Route
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: Headers
    body: bytes
    caller: tuple[str, ...] | UnknownCaller = NOBODY
    root_path: str = ""
    observation: Observation | None = None


class Sender(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What a request's header fields say.

    Args:
        sifted: The fields that matter, sorted by what they matter for.
        spoken: What Cache-Control says, for a body without a ``cache`` object.
        number: No other sender has it, ever: memories name a sender by it, and keep none alive.
    """

    sifted: scope.Sifted
    spoken: Directives
    number: int


class Question(msgspec.Struct, eq=False, gc=False):
    """What a request's body says.

    Args:
        call: The call type that read it.
        outcome: An Ask, why it is not cacheable, or None if it is not ours.
        control: The raw ``cache`` object, what is wrong with it, or None if there is none.
        cut: The body without its ``cache`` object and decoded; None if it goes on as it came.
        asked: Who asked it last, and the key of the answer.
    """

    call: CallType
    outcome: Ask | Bypass | None
    control: Mapping[str, Any] | DirectiveError | None
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
        self._numbers = itertools.count()

    def sender(self, headers: Headers) -> Sender:
        """Read the header fields of a request."""
        fields = scope.pick(headers, self._wanted)
        return self._senders.get(fields) or self._new_sender(fields)

    def _new_sender(self, fields: Headers) -> Sender:
        sifted = scope.sift(fields, self._extra)
        spoken = directives.read(sifted.control, None)
        assert isinstance(spoken, Directives)  # only a body can be in error
        sender = Sender(sifted, spoken, next(self._numbers))
        weight = _OVERHEAD + sum(len(name) + len(value) for name, value in fields)
        self._senders.put(fields, sender, weight)
        return sender

    def recall(self, label: Label) -> Question | None:
        """Return what was read from exactly these bytes before, or None."""
        return self._questions.get(label)

    def read(self, request: Request, sender: Sender, label: Label) -> Question:
        """Read the body of a request. Pure but for the memory."""
        question = self._question(request, sender.sifted.content_encoding)
        weight = _weight(request) + len(request.body) + len(question.cut or b"")
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
        # A wrong object may be of any size, and only what is wrong with it is told.
        wrong = parsed.control and directives.read((), parsed.control)
        control = wrong if isinstance(wrong, DirectiveError) else parsed.control
        return Question(call, outcome, control, parsed.cut)

    def key(self, journey: Journey, text: str | None = None) -> str:
        """Return the physical key of a request's answer, ``<namespace>:<hex>``.

        Args:
            journey: The request.
            text: What stands for its body; None: the body's digest.
        """
        asking = (journey.sender.number, journey.request.caller, journey.spoken.namespace)
        if text is not None:
            return self._maker(journey, asking).key(text)
        asked = journey.question.asked
        if asked is not None and asked[0] == asking:
            return asked[1]
        key = self._maker(journey, asking).key(journey.ask.digest)
        journey.question.asked = (asking, key)
        return key

    def _maker(self, journey: Journey, asking: Asking) -> keys.KeyMaker:
        request, call = journey.request, journey.question.call
        name = (
            asking,
            call.name,
            request.route.deployment,
            request.method,
            request.root_path,
            request.path,
            request.raw_path,
            request.query,
        )
        known = self._makers.get(name)
        if known is None:
            known = self._new_maker(journey)
            self._makers.put(name, known, _weight(request) + len(str(asking[1])))
        return known

    def members(self, journey: Journey) -> dict[str, Any]:
        """Return the members of a request's body as plain Python values.

        Raises:
            ValueError: They cannot be had exactly that way.
        """
        body = journey.question.cut
        if body is None:
            coding = journey.sender.sifted.content_encoding
            body = decoded(journey.request.body, coding, self._max_bytes)
        members: dict[str, Any] = msgspec.json.decode(body or b"")
        return members

    def asker(self, journey: Journey) -> keys.Asker:
        """Say who asks, and in which namespace."""
        request, sifted = journey.request, journey.sender.sifted
        return keys.Asker(
            namespace=self._namespace,
            child=journey.spoken.namespace,
            credentials=() if self._options.share else sifted.caller,
            caller=() if isinstance(request.caller, UnknownCaller) else request.caller,
            keyed=sifted.keyed,
        )

    def _new_maker(self, journey: Journey) -> keys.KeyMaker:
        request, sifted = journey.request, journey.sender.sifted
        place = keys.Place(
            method=request.method,
            host=sifted.host,
            path=request.path,
            root_path=request.root_path,
            raw_path=request.raw_path,
            query=request.query,
            content_type=sifted.content_type,
            content_encoding=sifted.content_encoding,
            deployment=request.route.deployment,
        )
        return keys.KeyMaker(self.asker(journey), place, journey.question.call.name, self._options)


def _weight(request: Request) -> int:
    """Bytes that the name of something remembered is taken to weigh."""
    parts = (request.root_path, request.path, request.raw_path, request.query)
    return _OVERHEAD + sum(map(len, parts))


def label(request: Request, sender: Sender) -> Label:
    """Name a question by all that it is read from."""
    sifted = sender.sifted
    return (
        request.route.call.name,
        request.route.deployment,
        request.method,
        request.root_path,
        request.path,
        request.raw_path,
        request.query,
        sifted.content_type,
        sifted.content_encoding,
        request.body,
    )
