"""Server-sent events: an incremental parser, an encoder, and rewriting of single events.

The parser follows the HTML standard, sections 9.2.5 and 9.2.6 ("Parsing" and "Interpreting an
event stream"), https://html.spec.whatwg.org/multipage/server-sent-events.html: one byte order mark
is skipped; CR, LF and CRLF all end a line, also when a CRLF is cut in two; a blank line dispatches
what was collected, if there is any data; what is not dispatched when the stream ends never was. It
works on bytes and leaves them undecoded.

Each event knows the bytes that it was made of, so that a stream can be written again with one event
changed and every other byte as it was: ``before`` and ``raw`` of all events, then the rest, are the
stream.
"""

from __future__ import annotations

from typing import Final

import msgspec

DONE: Final = b"[DONE]"
"""The data of the event with which OpenAI's streams end."""

_BOM: Final = b"\xef\xbb\xbf"
_ENDS: Final = b"\r\n"


class Event(msgspec.Struct, frozen=True):
    """An event that was dispatched.

    Args:
        data: The data lines' values, joined by LF.
        type: The value of the ``event`` field; empty means ``message``.
        last_id: The last ``id`` that the stream has set so far.
        raw: The event's own bytes, its blank line included.
        before: Bytes between the event before and this one: blocks without data, the stream's
            byte order mark, the LF of a CRLF that was cut in two.
    """

    data: bytes
    type: bytes = b""
    last_id: bytes = b""
    raw: bytes = b""
    before: bytes = b""


class Parser:
    """Reads a stream as it comes.

    Attributes:
        last_id: The last ``id`` that the stream has set.
        retry: The last reconnection time that the stream has set: digits, milliseconds.
    """

    __slots__ = (
        "_after_cr", "_before", "_data", "_line", "_raw", "_started", "_type", "last_id", "retry",
    )  # fmt: skip

    def __init__(self) -> None:
        self.last_id = b""
        self.retry = b""
        self._started = False
        self._after_cr = False
        self._line: list[bytes] = []  # pieces of a line that has not ended yet
        self._raw: list[bytes] = []  # lines since the last blank one
        self._before: list[bytes] = []
        self._data: list[bytes] = []
        self._type = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes, cut anywhere; return the events that they complete."""
        if self._after_cr and chunk.startswith(b"\n"):
            (self._raw or self._before).append(b"\n")
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        events: list[Event] = []
        for piece in chunk.splitlines(keepends=True):
            self._line.append(piece)
            if piece[-1] in _ENDS and (event := self._end_line()) is not None:
                events.append(event)
        return events

    def rest(self) -> bytes:
        """Return the bytes that came after the last event."""
        return b"".join((*self._before, *self._raw, *self._line))

    def _end_line(self) -> Event | None:
        line = self._line[0] if len(self._line) == 1 else b"".join(self._line)
        self._line.clear()
        if not self._started:
            line = self._without_mark(line)
        self._raw.append(line)
        text = line.rstrip(_ENDS)
        if not text:
            return self._dispatch()
        self._field(text)
        return None

    def _without_mark(self, line: bytes) -> bytes:
        self._started = True
        if line.startswith(_BOM):
            self._before.append(_BOM)
        return line.removeprefix(_BOM)

    def _field(self, text: bytes) -> None:
        name, _, value = text.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self.last_id = value
        elif name == b"retry" and value.isdigit():
            self.retry = value

    def _dispatch(self) -> Event | None:
        event = None
        if self._data:
            before, raw, data = b"".join(self._before), b"".join(self._raw), b"\n".join(self._data)
            event = Event(data, self._type, self.last_id, raw, before)
            self._before.clear()
            self._data.clear()
        else:
            self._before += self._raw
        self._raw.clear()
        self._type = b""
        return event


def parse(stream: bytes) -> tuple[list[Event], bytes]:
    """Read a whole stream: its events, and the bytes after the last one."""
    parser = Parser()
    return parser.feed(stream), parser.rest()


def is_cut_off(rest: bytes) -> bool:
    """Say whether the bytes after the last event hold more than blank lines and comments."""
    return any(line and not line.startswith(b":") for line in rest.splitlines())


def encode(data: bytes, *, event: bytes = b"") -> bytes:
    """Write an event.

    Args:
        data: Its data. An LF starts another data line; a CR cannot be written and must not occur.
        event: Its type; empty leaves the field out.
    """
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    head = b"event: %b\n" % event if event else b""
    return b"%bdata: %b\n\n" % (head, data)


def with_data(event: Event, data: bytes) -> bytes:
    """Write an event again with other data, its other lines and its line ends as they were.

    Args:
        event: An event that was parsed.
        data: The new data, without a CR.
    """
    if b"\n" not in event.data + data and event.raw.count(event.data) == 1:
        return event.raw.replace(event.data, data)
    lines: list[bytes] = []
    pending = data.split(b"\n")
    for line in event.raw.splitlines(keepends=True):
        text = line.rstrip(_ENDS)
        name, _, value = text.partition(b":")
        if name != b"data":
            lines.append(line)
            continue
        label = b"data: " if value.startswith(b" ") else b"data:"
        lines += [label + part + line[len(text) :] for part in pending]
        pending = []
    return b"".join(lines)
