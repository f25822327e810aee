from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls.sse import Event, Parser, encode, is_cut_off, parse, with_data


def dispatched(stream: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [(event.type, event.data, event.last_id) for event in parse(stream)[0]]


BOM = b"\xef\xbb\xbf"

STANDARD = [
    pytest.param(b"data: a\n\n", [(b"", b"a", b"")], id="one event"),
    pytest.param(b"data:a\n\n", [(b"", b"a", b"")], id="the space is optional"),
    pytest.param(b"data:  a \n\n", [(b"", b" a ", b"")], id="only one space is taken"),
    pytest.param(b"data: a\ndata: b\ndata\n\n", [(b"", b"a\nb\n", b"")], id="lines are joined"),
    pytest.param(b"data\n\n", [(b"", b"", b"")], id="empty data is data"),
    pytest.param(b"\n\n\n", [], id="blank lines dispatch nothing"),
    pytest.param(b": a comment\n\ndata: a\n\n", [(b"", b"a", b"")], id="comments are skipped"),
    pytest.param(b"event: x\ndata: a\n\n", [(b"x", b"a", b"")], id="the type"),
    pytest.param(b"event: x\nevent: y\ndata: a\n\n", [(b"y", b"a", b"")], id="the last type"),
    pytest.param(b"event: x\n\ndata: a\n\n", [(b"", b"a", b"")], id="a type without data is gone"),
    pytest.param(
        b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        [(b"", b"a", b"1"), (b"", b"b", b"1"), (b"", b"c", b"")],
        id="the id stays until it is set again",
    ),
    pytest.param(b"id: 1\0\ndata: a\n\n", [(b"", b"a", b"")], id="an id with a NUL is none"),
    pytest.param(b"unknown: 1\ndata: a\n\n", [(b"", b"a", b"")], id="unknown fields"),
    pytest.param(b"Data: a\n\n", [], id="names are case-sensitive"),
    pytest.param(b" data: a\n\n", [], id="a line begins with its name"),
    pytest.param(BOM + b"data: a\n\n", [(b"", b"a", b"")], id="one byte order mark is skipped"),
    pytest.param(BOM + BOM + b"data: a\n\n", [], id="but only one"),
    pytest.param(b"data: a\n\n" + BOM + b"data: b\n\n", [(b"", b"a", b"")], id="and only first"),
    pytest.param(b"data: a\r\rdata: b\r\r", [(b"", b"a", b""), (b"", b"b", b"")], id="CR"),
    pytest.param(
        b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a", b""), (b"", b"b", b"")], id="CRLF"
    ),
    pytest.param(b"data: a\n\r\ndata: b\r\r\n", [(b"", b"a", b""), (b"", b"b", b"")], id="mixed"),
    pytest.param(b"data: a\x0b\x0c\x85b\n\n", [(b"", b"a\x0b\x0c\x85b", b"")], id="no other ends"),
    pytest.param(b"data: a\n", [], id="without a blank line there is no event"),
    pytest.param(b"data: a\n\ndata: b", [(b"", b"a", b"")], id="an unfinished event is none"),
    pytest.param(b"data: \xff\n\n", [(b"", b"\xff", b"")], id="bytes are not decoded"),
]


@pytest.mark.parametrize(("stream", "events"), STANDARD)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, events: Any) -> None:
    assert dispatched(stream) == events


@pytest.mark.parametrize(
    ("stream", "retry"),
    [
        (b"retry: 1500\n", b"1500"),
        (b"retry: soon\n", b""),
        (b"retry: -1\n", b""),
        (b"retry\n", b""),
        (b"tries: 3\n", b""),
    ],
)
def test_the_reconnection_time_is_kept_if_it_is_digits(stream: bytes, retry: bytes) -> None:
    parser = Parser()
    parser.feed(stream)
    assert parser.retry == retry


PIECES = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"data",
        b"event: e",
        b"id: 7",
        b": c",
        b"\n",
        b"\r",
        b"\r\n",
        BOM,
        b"z",
    ]
)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.data())
def test_however_a_stream_is_cut_the_same_events_come_out(stream: bytes, data: Any) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = Parser()
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    got = [(event.type, event.data, event.last_id) for event in events]
    assert got == dispatched(stream)
    assert b"".join(e.before + e.raw for e in events) + parser.rest() == stream


@given(st.lists(PIECES, max_size=30).map(b"".join))
def test_an_event_is_dispatched_by_the_byte_that_ends_it(stream: bytes) -> None:
    parser = Parser()
    seen: list[Event] = []
    for number in range(len(stream)):
        seen += parser.feed(stream[number : number + 1])
        assert len(seen) == len(parse(stream[: number + 1])[0])


def test_an_event_is_written_with_one_blank_line() -> None:
    assert encode(b"a") == b"data: a\n\n"
    assert encode(b"a\nb", event=b"error") == b"event: error\ndata: a\ndata: b\n\n"


LINES = st.binary().map(lambda data: data.replace(b"\r", b""))


@given(LINES, st.sampled_from([b"", b"error"]))
def test_what_is_encoded_is_read_again(data: bytes, kind: bytes) -> None:
    assert dispatched(encode(data, event=kind)) == [(kind, data, b"")]


@pytest.mark.parametrize(
    ("stream", "data", "expected"),
    [
        (b"data: a\n\n", b"b", b"data: b\n\n"),
        (b"data:a\r\n\r\n", b"b", b"data:b\r\n\r\n"),
        (b": c\nid:  1\ndata: a\nevent: e\n\n", b"b", b": c\nid:  1\ndata: b\nevent: e\n\n"),
        (b"data: a\r: c\rdata: a2\r\r", b"b", b"data: b\r: c\r\r"),
        (b"data: Q\n\n", b"b\nc", b"data: b\ndata: c\n\n"),
        (b"data: a\r\n\r\n", b"b\nc", b"data: b\r\ndata: c\r\n\r\n"),
        (b"data\n\n", b"b", b"data:b\n\n"),
        (b"data: a\ndata: a2\n\n", b"b", b"data: b\n\n"),
        (b": data\ndata: data\n\n", b"b", b": data\ndata: b\n\n"),
        (BOM + b": c\n\ndata: a\n\n", b"b", b"data: b\n\n"),
    ],
)
def test_new_data_leaves_every_other_byte_of_an_event(
    stream: bytes, data: bytes, expected: bytes
) -> None:
    (event,) = parse(stream)[0]
    assert with_data(event, data) == expected


def test_what_lies_between_events_is_kept_apart_from_them() -> None:
    events, rest = parse(BOM + b": hi\n\ndata: a\n\n: still here\n\ndata: b\n\n: bye\n")
    assert [event.before for event in events] == [BOM + b": hi\n\n", b": still here\n\n"]
    assert [event.raw for event in events] == [b"data: a\n\n", b"data: b\n\n"]
    assert rest == b": bye\n"


def test_the_lf_of_a_crlf_that_was_cut_in_two_belongs_to_no_later_event() -> None:
    parser = Parser()
    (first,) = parser.feed(b"data: a\r\n\r")
    (second,) = parser.feed(b"\ndata: b\n\n")
    assert (first.raw, second.before, second.raw) == (b"data: a\r\n\r", b"\n", b"data: b\n\n")


@pytest.mark.parametrize(
    ("rest", "cut_off"),
    [(b"", False), (b"\n\r\n", False), (b": bye\n", False), (b"data: x\n", True), (b"dat", True)],
)
def test_a_stream_is_cut_off_if_a_field_was_left_undispatched(rest: bytes, cut_off: bool) -> None:
    assert is_cut_off(rest) is cut_off
