"""When an answer is complete: a table of answers, each with the reason why it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from askonce.calls.base import Ask, Complete, Incomplete
from askonce.calls.chat_form import CHAT
from askonce.calls.complete import FINISHED, verdict
from askonce.calls.text import TEXT
from askonce.entry import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.calls.form import Form

JSON_TYPE = b"application/json"
STREAM_TYPE = b"text/event-stream"
DONE = "data: [DONE]\n\n"


def ask(expected: int = 1, withheld: frozenset[str] = frozenset()) -> Ask:
    return Ask("plain", usage_due=True, digest=b"", expected=expected, model="m", withheld=withheld)


def reason(request: Ask, answer: Answer, form: Form = CHAT) -> str | None:
    said = verdict(request, answer, form)
    return None if isinstance(said, Complete) else said.reason


def plain(body: Any, content_type: bytes = JSON_TYPE) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(200, (), text, "plain", content_type)


def stream(*chunks: Any, end: str = DONE) -> Answer:
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Answer(200, (), (events + end).encode(), "stream", STREAM_TYPE)


def choice(index: Any = 0, why: Any = "stop") -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant"}, "finish_reason": why}


def whole(*choices: Any, **members: Any) -> dict[str, Any]:
    return {"id": "c", "choices": list(choices), **members}


def piece(index: Any = 0, why: Any = None, **members: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {}, "finish_reason": why}], **members}


@pytest.mark.parametrize("why", sorted(FINISHED))
def test_an_answer_is_complete_once_the_model_came_to_an_end(why: str) -> None:
    assert reason(ask(), plain(whole(choice(why=why)))) is None
    assert reason(ask(), stream(piece(), piece(why=why))) is None


def test_every_recorded_stream_is_complete(chat_stream: Path) -> None:
    answer = Answer(200, (), chat_stream.read_bytes(), "stream", STREAM_TYPE)
    body = chat_stream.with_suffix(".json").read_bytes()
    expected = len(json.loads(body)["choices"])
    assert reason(ask(expected), answer) is None
    assert reason(ask(expected), plain(body)) is None


def test_every_recorded_text_stream_is_complete(text_stream: Path) -> None:
    body = text_stream.with_suffix(".json").read_bytes()
    expected = len(json.loads(body)["choices"])
    answer = Answer(200, (), text_stream.read_bytes(), "stream", STREAM_TYPE)
    assert reason(ask(expected), answer, TEXT) is None
    assert reason(ask(expected), plain(body), TEXT) is None


def test_a_recorded_stream_that_is_cut_off_anywhere_is_not(chat_stream: Path) -> None:
    body = chat_stream.read_bytes()
    expected = len(json.loads(chat_stream.with_suffix(".json").read_bytes())["choices"])
    longest = len(body) - (2 if body.endswith(b"\r\n") else 1)  # a CR alone ends the last line too
    for length in range(0, longest, 7):
        answer = Answer(200, (), body[:length], "stream", STREAM_TYPE)
        assert isinstance(verdict(ask(expected), answer, CHAT), Incomplete), length


PLAIN = [
    (whole(choice(why="content_filter")), "content-filter"),
    (whole(choice(why="error")), "finish-reason"),
    (whole(choice(why=None)), "finish-reason"),
    (whole(choice(why="")), "finish-reason"),
    (whole(choice(why=["stop"])), "finish-reason"),
    (whole(choice(), error={"message": "m"}), "error"),
    (whole(choice(), error=None), None),
    ({"error": {"message": "m"}}, "error"),
    (whole(), "choices"),
    (whole(choice(1)), "choices"),
    (whole(choice(0), choice(1)), "choices"),
    (whole(choice("0")), "malformed"),
    (whole(choice(None)), "malformed"),
    (whole(choice(index=False)), "malformed"),
    (whole({"index": 0, "finish_reason": "stop"}), "malformed"),
    (whole("a"), "malformed"),
    ({"choices": {"0": choice()}}, "malformed"),
    ({"id": "c"}, "malformed"),
    ([choice()], "malformed"),
    (b"", "malformed"),
    (b'{"choices": [', "malformed"),
    (b'{"choices": "\xff"}', "malformed"),
    (b'{"a":' * 100_000, "malformed"),
]


@pytest.mark.parametrize(("body", "expected"), PLAIN)
def test_a_plain_answer_is_incomplete_for_a_reason(body: Any, expected: str | None) -> None:
    assert reason(ask(), plain(body)) == expected


STREAMS = [
    (stream(piece(why="stop"), end=""), "no-done"),
    (stream(piece(why="stop"), end="data: [DONE]\n"), "malformed"),
    (stream(piece(why="stop"), end="data: [done]\n\n"), "malformed"),
    (stream(piece(why="stop"), end=DONE + DONE), "malformed"),
    (stream(piece(why="stop"), end=DONE + "data: {}\n\n"), "malformed"),
    (stream(piece(why="stop"), end=DONE + "data: more"), "malformed"),
    (stream(piece(why="stop"), end=DONE + ": bye\n\n: more"), None),
    (stream(end=""), "no-done"),
    (stream(), "choices"),
    (stream(piece()), "finish-reason"),
    (stream(piece(why="")), "finish-reason"),
    (stream(piece(why=""), piece(why="stop")), None),
    (stream(piece(why="content_filter")), "content-filter"),
    (stream(piece(why="stop"), piece(why="content_filter")), "content-filter"),
    (stream(piece(why="error")), "finish-reason"),
    (stream(piece(why=["stop"])), "finish-reason"),
    (stream(piece(why="stop"), {"error": {"message": "m"}}), "error"),
    (stream(piece(why="stop", error=None)), None),
    (stream(piece(why="stop"), end="event: error\ndata: {}\n\n" + DONE), "error"),
    (stream(piece(why="stop"), end="event: error\ndata: gone\n\n"), "error"),
    (stream(piece(why="stop"), piece(1)), "finish-reason"),
    (stream(piece(why="stop"), piece(1, "stop")), "choices"),
    (stream(piece(1, "stop")), "choices"),
    (stream(piece("0", "stop")), "malformed"),
    (stream({"choices": None}), "malformed"),
    (stream({"choices": ["a"]}), "malformed"),
    (stream(piece(why="stop"), "a"), "malformed"),
    (stream(piece(why="stop"), end="data: {\n\n" + DONE), "malformed"),
    (stream(piece(why="stop"), {"choices": []}, {"type": "ping"}, end=": ping\n\n" + DONE), None),
]


@pytest.mark.parametrize(("answer", "expected"), STREAMS)
def test_a_stream_is_incomplete_for_a_reason(answer: Answer, expected: str | None) -> None:
    assert reason(ask(), answer) == expected


def test_as_many_choices_as_were_asked_for_are_needed() -> None:
    both = whole(choice(1), choice(0))
    assert reason(ask(2), plain(both)) is None
    assert reason(ask(2), plain(whole(choice()))) == "choices"
    assert reason(ask(2), plain(whole(choice(), choice()))) == "choices"
    assert reason(ask(2), stream(piece(1, "stop"), piece(0, "length"))) is None
    assert reason(ask(2), stream(piece(0, "stop"))) == "choices"


def test_an_absurd_number_of_choices_costs_nothing() -> None:
    assert reason(ask(10**18), plain(whole(choice()))) == "choices"


def test_what_callers_do_not_share_keeps_an_answer_from_being_stored() -> None:
    shared = ask(withheld=frozenset({"metadata", "user"}))
    assert reason(shared, plain(whole(choice()))) is None
    assert reason(shared, plain(whole(choice(), metadata={}))) == "withheld-member"
    assert reason(shared, stream(piece(user=None), piece(why="stop"))) == "withheld-member"
    assert reason(shared, stream(piece(why="stop"), {"user": "u"})) == "withheld-member"
    assert reason(ask(), plain(whole(choice(), metadata={}))) is None


TYPES = [
    (JSON_TYPE, "plain", None),
    (b"application/problem+json", "plain", None),
    (b"text/event-stream", "plain", "content-type"),
    (b"text/html", "plain", "content-type"),
    (b"", "plain", "content-type"),
    (b"text/event-stream", "stream", None),
    (b"application/json", "stream", "content-type"),
    (b"text/event-streams", "stream", "content-type"),
]


@pytest.mark.parametrize(("content_type", "shape", "expected"), TYPES)
def test_the_content_type_must_be_that_of_the_shape(
    content_type: bytes, shape: Any, expected: str | None
) -> None:
    body = plain(whole(choice())).body if shape == "plain" else stream(piece(why="stop")).body
    answer = Answer(200, (), body, shape, content_type)
    assert reason(ask(), answer) == expected


def test_without_a_content_type_nothing_is_known() -> None:
    body = plain(whole(choice())).body
    assert reason(ask(), Answer(200, (), body, "plain", b"")) == "content-type"


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "x"}},
        {"object": "error", "message": "x"},
        {"type": "error"},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "error": {"code": 502}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": None, "error": {"code": 502}}]},
    ],
)
def test_an_error_in_any_dialect_voids_a_stream_that_goes_on(error: dict[str, Any]) -> None:
    assert reason(ask(), stream(piece(), error, piece(why="stop"))) == "error"


@pytest.mark.parametrize("error", [{"object": "error"}, {"type": "error"}, {"error": "x"}])
def test_an_error_in_any_dialect_voids_an_answer(error: dict[str, Any]) -> None:
    assert reason(ask(), plain(whole(choice(), **error))) == "error"
    assert reason(ask(), plain(whole(choice() | {"error": {"code": 1}}))) == "error"
