"""From streams to JSON: recorded streams of each provider's shape, and OpenAI's own accumulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from askonce.calls.assemble import assemble
from askonce.calls.chat_form import CHAT
from askonce.calls.sse import DONE, encode, parse
from askonce.calls.text import TEXT
from support.exactly import exactly

if TYPE_CHECKING:
    from pathlib import Path


def stream_of(*chunks: Any) -> bytes:
    return b"".join(encode(json.dumps(chunk).encode()) for chunk in chunks) + encode(DONE)


def chunk(*choices: Any, **members: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
        "choices": list(choices), **members
    }  # fmt: skip


def delta(index: int = 0, finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    return {"index": index, "delta": members, "finish_reason": finish_reason}


def assembled(*chunks: Any) -> Any:
    body = assemble(stream_of(*chunks), CHAT)
    return None if body is None else json.loads(body)


def message(*deltas: dict[str, Any]) -> Any:
    """The message that these deltas amount to; None if the stream serves its own shape only."""
    first = {"role": "assistant"} | deltas[0]
    pieces = [delta(**piece) for piece in (first, *deltas[1:])]
    whole = assembled(*map(chunk, pieces), chunk(delta(finish_reason="stop")))
    return None if whole is None else whole["choices"][0]["message"]


def test_a_chat_stream_of_any_provider_becomes_its_json(chat_stream: Path) -> None:
    body = assemble(chat_stream.read_bytes(), CHAT)
    assert body is not None
    assert exactly(body) == exactly(chat_stream.with_suffix(".json").read_bytes())


def test_a_text_stream_becomes_its_json(text_stream: Path) -> None:
    body = assemble(text_stream.read_bytes(), TEXT)
    assert body is not None
    assert exactly(body) == exactly(text_stream.with_suffix(".json").read_bytes())


def chunks_of(path: Path) -> list[dict[str, Any]]:
    events, _ = parse(path.read_bytes())
    return [json.loads(event.data) for event in events if event.data != DONE]


def as_openai_sends(chunks: list[dict[str, Any]]) -> None:
    """Number Gemini's calls, and leave out the role but once: the official client appends both."""
    deltas = [choice["delta"] for piece in chunks for choice in piece["choices"]]
    for later in deltas[1:]:
        del later["role"]
    calls = [call for each in deltas for call in each.get("tool_calls", ())]
    for number, call in enumerate(calls):
        call["index"] = number


def official(path: Path) -> dict[str, Any]:
    """What the ``openai`` client makes of a stream, which skips chunks of another ``object``."""
    state: Any = ChatCompletionStreamState()
    chunks = chunks_of(path)
    if path.stem == "gemini_tools":
        as_openai_sends(chunks)
    for piece in chunks:
        if piece["object"] == "chat.completion.chunk":
            state.handle_chunk(ChatCompletionChunk.construct(**piece))
    whole: dict[str, Any] = state.current_completion_snapshot.to_dict(exclude_none=True)
    for choice in whole["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            del call["index"]  # it leaves the stream's index in, which the API's JSON does not have
    return whole


def without_nulls(value: Any) -> Any:
    """The official client's models do not tell null and absent apart."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


OFFICIAL = ("id", "object", "created", "model", "service_tier", "system_fingerprint", "usage")


def test_the_official_client_assembles_the_same(chat_stream: Path) -> None:
    body = assemble(chat_stream.read_bytes(), CHAT)
    assert body is not None
    ours, theirs = without_nulls(json.loads(body)), without_nulls(official(chat_stream))
    for name in OFFICIAL:
        assert ours.get(name) == theirs.get(name), name
    for our, their in zip(ours["choices"], theirs["choices"], strict=True):
        for name in ("index", "message", "finish_reason", "logprobs"):
            assert our.get(name) == their.get(name), name


def test_the_official_client_reads_the_same_text(text_stream: Path) -> None:
    body = assemble(text_stream.read_bytes(), TEXT)
    assert body is not None
    whole = Completion.model_validate_json(body)
    pieces = [Completion.construct(**piece) for piece in chunks_of(text_stream)]
    for choice in whole.choices:
        mine = [c for piece in pieces for c in piece.choices if c.index == choice.index]
        assert choice.text == "".join(c.text for c in mine)
        assert choice.finish_reason == mine[-1].finish_reason
    assert whole.usage == pieces[-1].usage


def test_padding_never_enters_json() -> None:
    whole = assembled(
        chunk(delta(role="assistant", content="a", obfuscation="x") | {"obfuscation": "y"}),
        chunk(delta(finish_reason="stop"), obfuscation="z"),
    )
    assert "obfuscation" not in json.dumps(whole)


def test_the_envelope_comes_from_the_first_chunk_that_names_a_model() -> None:
    whole = assembled(
        {"id": "", "model": "", "created": 0, "object": "", "choices": []},
        chunk(delta(role="assistant"), id="first", service_tier=None),
        chunk(delta(finish_reason="stop"), id="second", created=2, service_tier="default"),
    )
    assert (whole["id"], whole["created"]) == ("first", 1)
    assert whole["service_tier"] == "default"
    assert whole["object"] == "chat.completion"


def test_the_last_usage_counts() -> None:
    whole = assembled(
        chunk(delta(role="assistant"), usage={"total_tokens": 1}),
        chunk(delta(finish_reason="stop"), usage={"total_tokens": 2}),
        chunk(usage=None),
    )
    assert whole["usage"] == {"total_tokens": 2}


def test_a_usage_that_never_came_is_not_made_up() -> None:
    whole = assembled(chunk(delta(role="assistant")), chunk(delta(finish_reason="stop")))
    assert "usage" not in whole


def test_a_finish_reason_may_be_repeated() -> None:
    whole = assembled(chunk(delta(role="assistant")), chunk(ENDING), chunk(ENDING))
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_choices_come_in_the_order_of_their_indexes() -> None:
    whole = assembled(
        chunk(delta(1, role="assistant", content="b"), delta(0, role="assistant", content="a")),
        chunk(delta(0, "stop"), delta(1, "stop")),
    )
    assert [choice["message"]["content"] for choice in whole["choices"]] == ["a", "b"]


def test_unknown_members_survive_at_every_level() -> None:
    whole = assembled(
        chunk(delta(role="assistant", content="a", annotations=[{"n": 1}]), provider="P"),
        chunk(delta(finish_reason="stop") | {"native_finish_reason": "STOP"}, provider="P"),
    )
    assert whole["provider"] == "P"
    assert whole["choices"][0]["native_finish_reason"] == "STOP"
    assert whole["choices"][0]["message"]["annotations"] == [{"n": 1}]


MESSAGES = [
    ([{"content": None}, {"content": "a"}, {"content": None}, {"content": "b"}], {"content": "ab"}),
    ([{"content": ""}], {"content": ""}),
    ([{"content": None}], {"content": None}),
    ([{"role": "assistant"}, {"role": "assistant"}, {"role": ""}], {}),
    ([{"reasoning": "ha"}, {"reasoning": "ha"}], {"reasoning": "haha"}),
    ([{"tool_calls": []}, {"tool_calls": None}], {"tool_calls": []}),
    (
        [{"function_call": {"name": "f", "arguments": "x"}}] * 2,
        {"function_call": {"name": "f", "arguments": "xx"}},
    ),
    ([{"thoughts": "ha"}, {"thoughts": "ha"}], None),
    ([{"thoughts": "a"}, {"thoughts": "b"}], None),
    ([{"thoughts": ["a"]}, {"thoughts": ["b"]}], None),
    ([{"content": "a"}, {"content": ["b"]}], None),
    ([{"role": "assistant"}, {"role": "tool"}], None),
    ([{"function_call": {"name": "f"}}, {"function_call": {"name": "g"}}], None),
]


@pytest.mark.parametrize(("deltas", "expected"), MESSAGES)
def test_a_message_is_put_together_unless_it_is_uncertain(deltas: Any, expected: Any) -> None:
    assert message(*deltas) == (None if expected is None else {"role": "assistant", **expected})


OPENING = delta(role="assistant", content="a")
ENDING = delta(finish_reason="stop")

UNCERTAIN = [
    pytest.param([], id="no chunk"),
    pytest.param([chunk()], id="no choice"),
    pytest.param([chunk(OPENING), chunk(ENDING, id="c"), []], id="a chunk that is no object"),
    pytest.param([chunk(delta(content="a")), chunk(ENDING)], id="no role"),
    pytest.param([chunk({"index": 0, "finish_reason": "stop"})], id="no delta"),
    pytest.param([chunk({"index": 0, "delta": "a"}), chunk(ENDING)], id="a delta of another type"),
    pytest.param([chunk(OPENING | {"message": {}}), chunk(ENDING)], id="a delta and a message"),
    pytest.param([chunk({"delta": {"role": "assistant"}})], id="no index"),
    pytest.param(
        [chunk(OPENING), chunk(ENDING), chunk(delta(finish_reason="length"))], id="two ends"
    ),
    pytest.param(
        [chunk(OPENING), chunk(ENDING, provider="P"), chunk(provider="Q")], id="two values"
    ),
    pytest.param([chunk(OPENING, choices={"0": {}})], id="choices that are no list"),
    pytest.param([chunk(OPENING), chunk(choices={})], id="choices that are no list at times"),
    pytest.param([chunk(OPENING, x_groq={}), chunk(ENDING, x_groq="r")], id="two types"),
]


@pytest.mark.parametrize("chunks", UNCERTAIN)
def test_a_stream_that_may_be_read_in_two_ways_serves_its_own_shape_only(chunks: Any) -> None:
    assert assembled(*chunks) is None


def test_a_number_that_would_change_is_not_written() -> None:
    stream = stream_of(chunk(OPENING), chunk(ENDING, usage={"cost": 0}))
    assert assemble(stream, CHAT) is not None
    assert assemble(stream.replace(b'"cost": 0}', b'"cost": -0}'), CHAT) is None


def test_a_text_that_comes_with_anything_but_text_serves_its_own_shape_only() -> None:
    pieces = [{"index": 0, "text": "a", "finish_reason": None}, {"index": 0, "text": {"b": 1}}]
    assert assemble(stream_of(*({"model": "m", "choices": [p]} for p in pieces)), TEXT) is None
