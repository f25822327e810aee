"""One entry, both shapes: who is served what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from askonce.calls.base import Ask, CallType
from askonce.calls.chat import Completion
from askonce.calls.shapes import without_usage
from askonce.calls.sse import parse
from askonce.calls.text import TextCompletion
from askonce.entry import Entry, Shape
from support.exactly import exactly

if TYPE_CHECKING:
    from pathlib import Path

USAGE = '{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}'
JSON = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":%b}'
) % USAGE.encode()


def envelope(*members: str) -> str:
    inner = ",".join(['"id":"c","created":1,"model":"m"', *members])
    return f"data: {{{inner}}}\n\n"


OPENING = '"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]'
ENDING = '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]'
DONE = "data: [DONE]\n\n"
BARE = envelope(OPENING) + envelope(ENDING) + DONE
NULL = '"usage":null'
FULL = (
    envelope(OPENING, NULL)
    + envelope(ENDING, NULL)
    + envelope('"choices":[]', f'"usage":{USAGE}')
    + DONE
)

CHAT = Completion()


def entry(shape: Shape, body: bytes, *, usage_due: bool) -> Entry:
    return Entry("k", 0.0, 1.0, 200, (), body, shape, usage_due)


def ask(shape: Shape, *, usage_due: bool) -> Ask:
    return Ask(shape, usage_due=usage_due, digest=b"", expected=1, model="m")


PLAIN = ask("plain", usage_due=True)
STREAM = ask("stream", usage_due=False)
STREAM_AND_USAGE = ask("stream", usage_due=True)

STORED_PLAIN = entry("plain", JSON, usage_due=True)
STORED_STREAM = entry("stream", BARE.encode(), usage_due=False)
STORED_FULL_STREAM = entry("stream", FULL.encode(), usage_due=True)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [(STORED_PLAIN, PLAIN), (STORED_STREAM, STREAM), (STORED_FULL_STREAM, STREAM_AND_USAGE)],
)
def test_who_asks_the_same_way_gets_the_very_same_bytes(stored: Entry, asked: Ask) -> None:
    rendition = CHAT.render(stored, asked)
    assert rendition is not None
    assert rendition.body is stored.body
    assert (rendition.shape, rendition.converted) == (stored.shape, False)


@pytest.mark.parametrize("asked", [PLAIN, STREAM_AND_USAGE])
def test_without_a_usage_nobody_is_served_who_is_due_one(asked: Ask) -> None:
    assert CHAT.render(STORED_STREAM, asked) is None
    assert CHAT.render(entry("plain", JSON, usage_due=False), asked) is None


def test_a_stream_is_served_plain() -> None:
    rendition = CHAT.render(STORED_FULL_STREAM, PLAIN)
    assert rendition is not None
    assert exactly(rendition.body) == exactly(JSON)
    assert (rendition.shape, rendition.converted) == ("plain", True)


@pytest.mark.parametrize(("asked", "usages"), [(STREAM, 0), (STREAM_AND_USAGE, 4)])
def test_json_is_served_as_a_stream_with_the_usage_if_it_is_due(asked: Ask, usages: int) -> None:
    rendition = CHAT.render(STORED_PLAIN, asked)
    assert rendition is not None
    assert (rendition.shape, rendition.converted) == ("stream", True)
    assert rendition.body.count(b'"usage"') == usages
    assert rendition.body.endswith(DONE.encode())


def test_json_without_a_usage_still_serves_a_stream_that_is_due_none() -> None:
    assert CHAT.render(entry("plain", JSON, usage_due=False), STREAM) is not None


def test_the_usage_is_taken_out_of_a_stream_for_who_is_not_due_it() -> None:
    rendition = CHAT.render(STORED_FULL_STREAM, STREAM)
    assert rendition is not None
    assert rendition.body == BARE.encode()
    assert (rendition.shape, rendition.converted) == ("stream", True)


@pytest.mark.parametrize("asked", [STREAM, STREAM_AND_USAGE])
def test_an_entry_of_which_it_is_not_known_how_to_convert_it_is_a_miss(asked: Ask) -> None:
    body = JSON.replace(b'"content":"Hi"', b'"content":[]')
    assert CHAT.render(entry("plain", body, usage_due=True), PLAIN) is not None
    assert CHAT.render(entry("plain", body, usage_due=True), asked) is None


def test_a_stream_that_may_be_read_in_two_ways_is_a_miss_for_a_plain_request() -> None:
    body = FULL.replace('"content":"Hi"', '"content":"Hi","thought":"a"', 1)
    body = body.replace('"delta":{}', '"delta":{"thought":"b"}')
    assert CHAT.render(entry("stream", body.encode(), usage_due=True), PLAIN) is None
    assert CHAT.render(entry("stream", body.encode(), usage_due=True), STREAM) is not None


REWRITTEN = [
    pytest.param(BARE, BARE, id="nothing to take out"),
    pytest.param(FULL, BARE, id="the event and the nulls"),
    pytest.param(FULL.replace("\n", "\r\n"), BARE.replace("\n", "\r\n"), id="line ends stay"),
    pytest.param(
        ': hi\n\nid: 7\ndata:{ "usage" : null , "choices" : [ 1.0 ] }\n\n' + DONE,
        ': hi\n\nid: 7\ndata:{ "choices" : [ 1.0 ] }\n\n' + DONE,
        id="white space, comments and other fields stay",
    ),
    pytest.param(
        'data: {"a":1,"\\u0075sage":null,"choices":[1]}\n\n',
        'data: {"a":1,"choices":[1]}\n\n',
        id="an escaped name",
    ),
    pytest.param(
        'data: {"choices":[{"delta":{"content":"\\"usage\\":null"}}],"usage":{"a":1}}\n\n',
        'data: {"choices":[{"delta":{"content":"\\"usage\\":null"}}]}\n\n',
        id="a usage on a chunk with choices",
    ),
    pytest.param(
        'data: {"choices":[1],"x_groq":{"usage":{"a":1}}}\n\n',
        'data: {"choices":[1],"x_groq":{"usage":{"a":1}}}\n\n',
        id="a usage elsewhere stays",
    ),
    pytest.param(
        'data: {"choices":[],\ndata: "usage":{"a":1}}\n\n' + DONE, DONE, id="data on two lines"
    ),
    pytest.param(
        'data: {"choices":[1],\ndata: "usage":null,\ndata: "b":1}\n\n',
        'data: {"choices":[1],\ndata: "b":1}\n\n',
        id="a member between lines",
    ),
    pytest.param(
        'data: {"choices":[],"filter":1,"usage":null}\n\n',
        'data: {"choices":[],"filter":1}\n\n',
        id="a chunk without choices that brings no usage",
    ),
    pytest.param(
        f'data: {{"usage":{USAGE}}}\n\n: bye\n', ": bye\n", id="a usage event without choices"
    ),
    pytest.param("data: usage\n\n", "data: usage\n\n", id="no JSON"),
]


@pytest.mark.parametrize(("stream", "expected"), REWRITTEN)
def test_the_usage_is_cut_out_and_every_other_byte_stays(stream: str, expected: str) -> None:
    assert without_usage(stream.encode()) == expected.encode()


def test_nothing_but_the_usage_is_lost_from_any_recorded_stream(chat_stream: Path) -> None:
    stream = chat_stream.read_bytes()
    left = [event.data for event in parse(without_usage(stream))[0][:-1]]
    expected = [json.loads(event.data) for event in parse(stream)[0][:-1]]
    kept = [chunk for chunk in expected if chunk["choices"] or chunk.pop("usage", None) is None]
    for chunk in kept:
        chunk.pop("usage", None)
    assert [json.loads(data) for data in left] == kept


@pytest.mark.parametrize("call", [Completion(), TextCompletion()])
def test_both_call_types_render(call: CallType) -> None:
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    choice |= {"text": "Hi"} if call.name == "text_completion" else {}
    choice |= (
        {"message": {"role": "assistant", "content": "Hi"}} if call.name == "completion" else {}
    )
    stored = entry(
        "plain", json.dumps({"model": "m", "choices": [choice]}).encode(), usage_due=True
    )
    rendition = call.render(stored, STREAM)
    assert rendition is not None
    again = call.render(entry("stream", rendition.body, usage_due=True), PLAIN)
    assert again is not None
    assert json.loads(again.body)["choices"] == [choice]
