"""From JSON to streams: what goes where, and that nothing is lost on the way there and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from askonce.calls.assemble import assemble
from askonce.calls.chat_form import CHAT
from askonce.calls.expand import expand
from askonce.calls.sse import DONE, parse
from askonce.calls.text import TEXT
from support.exactly import exactly

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.calls.form import Form

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chat(message: dict[str, Any], **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    envelope = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**envelope, "choices": [choice], "usage": USAGE, **members}


def expanded(whole: Any, form: Form = CHAT, *, usage: bool = True) -> Any:
    """The chunks as values; None if there is no stream."""
    stream = expand(json.dumps(whole).encode(), form, usage=usage)
    if stream is None:
        return None
    events, rest = parse(stream)
    assert (events[-1].data, rest) == (DONE, b"")
    return [json.loads(event.data) for event in events[:-1]]


def deltas(message: dict[str, Any]) -> Any:
    chunks = expanded(chat(message), usage=False)
    return None if chunks is None else [chunk["choices"][0]["delta"] for chunk in chunks]


def test_a_chat_answer_is_streamed_as_openai_does() -> None:
    whole = chat(
        {"role": "assistant", "content": "Hi", "refusal": None},
        service_tier="default",
        system_fingerprint="fp",
        citations=["u"],
    )
    envelope = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp",
    }

    def chunk(delta: Any, finish_reason: str | None = None, **members: Any) -> Any:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**envelope, "choices": [choice], "usage": None, **members}

    assert expanded(whole) == [
        chunk({"role": "assistant", "content": "", "refusal": None}, citations=["u"]),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        {**envelope, "choices": [], "usage": USAGE},
    ]


def test_a_text_answer_is_streamed_as_openai_does() -> None:
    choice = {"text": "Hi", "index": 0, "logprobs": {"tokens": ["Hi"]}, "finish_reason": "stop"}
    envelope = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    ending = {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
    assert expanded({**envelope, "choices": [choice], "usage": USAGE}, TEXT, usage=False) == [
        {**envelope, "choices": [{**choice, "finish_reason": None}]},
        {**envelope, "choices": [ending]},
    ]


def test_the_usage_goes_only_to_who_is_due_it() -> None:
    whole = chat({"role": "assistant", "content": "Hi"})
    assert [chunk["usage"] for chunk in expanded(whole)] == [None, None, None, USAGE]
    assert all("usage" not in chunk for chunk in expanded(whole, usage=False))


def test_a_usage_that_there_is_none_of_is_not_made_up() -> None:
    whole = chat({"role": "assistant", "content": "Hi"})
    del whole["usage"]
    assert all("usage" not in chunk for chunk in expanded(whole))


def test_everything_in_a_message_comes_in_its_place() -> None:
    message = {
        "annotations": [],
        "content": "Hi",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
        ],
        "role": "assistant",
        "function_call": None,
        "reasoning_content": "Hm",
        "refusal": None,
    }
    first, second = message["tool_calls"]
    assert deltas(message) == [
        {
            "role": "assistant",
            "reasoning_content": "",
            "content": "",
            "refusal": None,
            "function_call": None,
        },
        {"reasoning_content": "Hm"},
        {"content": "Hi"},
        {"annotations": []},
        {"tool_calls": [{"index": 0, **first}]},
        {"tool_calls": [{"index": 1, **second}]},
        {},
    ]


def test_what_is_empty_comes_with_the_role() -> None:
    message = {"role": "assistant", "content": None, "refusal": "", "tool_calls": []}
    assert deltas(message) == [message, {}]


def test_a_function_call_is_one_piece() -> None:
    call = {"name": "f", "arguments": "{}"}
    message = {"role": "assistant", "content": None, "function_call": call}
    opening = {"role": "assistant", "content": None}
    assert deltas(message) == [opening, {"function_call": call}, {}]


def test_an_index_that_a_call_brought_along_is_kept_if_it_is_right() -> None:
    call = {"id": "a", "index": 0, "function": {"name": "f", "arguments": "{}"}}
    assert deltas({"role": "assistant", "tool_calls": [call]})[1] == {"tool_calls": [call]}
    assert deltas({"role": "assistant", "tool_calls": [call | {"index": 1}]}) is None


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"content": "a"}, 1),
        ({"reasoning_content": "b", "content": "a"}, 2),
        ({"content": None, "refusal": "no"}, 1),
        ({"content": None}, 1),
        ({"content": None, "tool_calls": [{"id": "a"}]}, 2),
    ],
)
def test_log_probabilities_go_with_what_was_said(message: dict[str, Any], place: int) -> None:
    whole = chat({"role": "assistant", **message})
    whole["choices"][0]["logprobs"] = {"content": [{"token": "a"}]}
    found = [chunk["choices"][0]["logprobs"] for chunk in expanded(whole, usage=False)]
    assert found.pop(place) == {"content": [{"token": "a"}]}
    assert not any(found)


def test_choices_are_streamed_in_the_order_of_their_indexes() -> None:
    whole = chat({"role": "assistant", "content": "a"})
    other = {"index": 1, "message": {"role": "assistant"}, "finish_reason": "stop", "seen": 2}
    whole["choices"].insert(0, other)
    chunks = [chunk["choices"][0] for chunk in expanded(whole, usage=False)]
    assert [choice["index"] for choice in chunks] == [0, 0, 0, 1, 1]
    assert chunks[-1] == {"index": 1, "delta": {}, "finish_reason": "stop", "seen": 2}
    assert "logprobs" not in chunks[-2]


UNKNOWN = [
    {"content": "a"},
    {"role": None, "content": "a"},
    {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
    {"role": "assistant", "reasoning": {"a": 1}},
    {"role": "assistant", "tool_calls": {"id": "a"}},
    {"role": "assistant", "tool_calls": ["a"]},
    {"role": "assistant", "tool_calls": 5},
    {"role": "assistant", "function_call": "f"},
    "a",
    None,
]


@pytest.mark.parametrize("message", UNKNOWN)
def test_a_message_of_which_it_is_not_known_how_to_cut_it_is_not_streamed(message: Any) -> None:
    assert deltas(message) is None


NOT_STREAMED = [
    {},
    {"choices": []},
    {"choices": {}},
    {"choices": ["a"]},
    {"choices": [{"message": {"role": "assistant"}}]},
    {"choices": [{"index": 0, "message": {"role": "assistant"}, "delta": {}}]},
    [],
]


@pytest.mark.parametrize("whole", NOT_STREAMED)
def test_an_answer_without_known_choices_is_not_streamed(whole: Any) -> None:
    assert expanded(whole) is None


def test_a_text_that_is_none_is_not_streamed() -> None:
    assert expanded({"choices": [{"index": 0, "text": ["a"]}]}, TEXT) is None


def test_a_number_that_would_change_is_not_written() -> None:
    body = json.dumps(chat({"role": "assistant", "content": "a"}, cost=-1)).encode()
    assert expand(body, CHAT, usage=True) is not None
    assert expand(body.replace(b": -1", b": -0"), CHAT, usage=True) is None


def test_every_recorded_answer_survives_there_and_back(chat_stream: Path) -> None:
    body = chat_stream.with_suffix(".json").read_bytes()
    stream = expand(body, CHAT, usage=True)
    assert stream is not None
    again = assemble(stream, CHAT)
    assert again is not None
    assert exactly(again) == exactly(body)


NAMES = st.text(max_size=8).map(lambda name: f"x_{name}")
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2)
)
OTHERS = st.dictionaries(NAMES, VALUES, max_size=2)
TEXTS = st.none() | st.text(max_size=20)
CALLS = st.lists(
    st.tuples(st.sampled_from(["function", "custom"]), st.text(min_size=1), st.text(), OTHERS),
    max_size=3,
).map(
    lambda calls: [
        {"id": f"call_{number}", "type": kind, kind: {"name": name, "arguments": said}, **others}
        for number, (kind, name, said, others) in enumerate(calls)
    ]
)


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have any of these members, and some that are unknown."""
    known = st.fixed_dictionaries({}, optional=members)
    return st.builds(lambda one, other: one | other, known, OTHERS)


TOKENS = st.lists(objects(token=st.text(), logprob=FLOATS), max_size=3)
MESSAGES = st.builds(
    lambda message: {"role": "assistant", **message},
    objects(
        content=TEXTS,
        refusal=TEXTS,
        reasoning=TEXTS,
        reasoning_content=TEXTS,
        tool_calls=st.none() | CALLS,
        function_call=st.none() | st.builds(lambda n: {"name": n, "arguments": "{}"}, st.text()),
    ),
)
ENDS = st.sampled_from(["stop", "length", "tool_calls"])
CHAT_CHOICES = st.builds(
    lambda message, finish_reason, others: {
        "message": message, "finish_reason": finish_reason, **others
    },
    MESSAGES,
    ENDS,
    objects(
        logprobs=st.none() | objects(content=st.none() | TOKENS, refusal=st.none() | TOKENS),
        content_filter_results=OTHERS,
    ),
)  # fmt: skip
TEXT_CHOICES = st.builds(
    lambda text, finish_reason, others: {"text": text, "finish_reason": finish_reason, **others},
    st.text(),
    ENDS,
    objects(
        logprobs=st.none()
        | objects(tokens=st.lists(st.text()), text_offset=st.lists(st.integers()))
    ),
)


def answers(kind: str, choices: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    envelope = st.fixed_dictionaries(
        {
            "id": st.text(),
            "object": st.just(kind),
            "created": st.integers(),
            "model": st.text(min_size=1),
            "choices": st.lists(choices, min_size=1, max_size=3),
        },
        optional={"usage": st.none() | OTHERS, "service_tier": TEXTS, "system_fingerprint": TEXTS},
    )
    return st.builds(lambda one, other: numbered(one | other), envelope, OTHERS)


def numbered(whole: dict[str, Any]) -> dict[str, Any]:
    choices = [{"index": number, **choice} for number, choice in enumerate(whole["choices"])]
    return {**whole, "choices": choices}


def there_and_back(whole: dict[str, Any], form: Form) -> None:
    body = json.dumps(whole).encode()
    stream = expand(body, form, usage=True)
    assert stream is not None
    again = assemble(stream, form)
    assert again is not None
    assert exactly(again) == exactly(body)


@given(answers("chat.completion", CHAT_CHOICES))
def test_any_chat_answer_survives_there_and_back(whole: dict[str, Any]) -> None:
    there_and_back(whole, CHAT)


@given(answers("text_completion", TEXT_CHOICES))
def test_any_text_answer_survives_there_and_back(whole: dict[str, Any]) -> None:
    there_and_back(whole, TEXT)


def client(stream: bytes) -> OpenAI:
    """The official client, before a server that streams this."""

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    return OpenAI(
        api_key="k",
        base_url="http://test/v1",
        http_client=httpx.Client(transport=httpx.MockTransport(handle)),
    )


def test_the_official_client_reads_what_was_built(chat_stream: Path) -> None:
    body = chat_stream.with_suffix(".json").read_bytes()
    stream = expand(body, CHAT, usage=True)
    assert stream is not None
    with client(stream).chat.completions.stream(model="m", messages=[]) as events:
        for _ in events:
            pass
    choice, expected = events.current_completion_snapshot.choices[0], json.loads(body)["choices"][0]
    assert choice.finish_reason == expected["finish_reason"]
    assert choice.message.content == expected["message"].get("content")
    assert events.current_completion_snapshot.usage is not None
    calls = [call.function for call in choice.message.tool_calls or []]
    assert [(call.name, call.arguments) for call in calls] == [
        (call["function"]["name"], call["function"]["arguments"])
        for call in expected["message"].get("tool_calls", ())
    ]
