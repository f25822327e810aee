from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app import model
from sample_app.bodies import ChatBody, TextBody, read

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "time"}}


def chat_body(question: object = "Why is the sky blue?", **members: object) -> ChatBody:
    whole = {"model": "stand-in", "messages": [{"role": "user", "content": question}], **members}
    body = read(json.dumps(whole).encode(), ChatBody)
    assert isinstance(body, ChatBody), body
    return body


def text_body(prompt: object = "Once upon a time", **members: object) -> TextBody:
    body = read(json.dumps({"model": "stand-in", "prompt": prompt, **members}).encode(), TextBody)
    assert isinstance(body, TextBody), body
    return body


@given(st.text())
def test_tokens_joined_again_are_the_text(text: str) -> None:
    assert "".join(model.tokens(text)) == text
    assert "" not in model.tokens(text)


def test_the_same_prompt_gets_the_same_answer() -> None:
    assert model.chat(chat_body()) == model.chat(chat_body())
    assert model.complete(text_body()) == model.complete(text_body())


@given(st.text(), st.text())
def test_another_prompt_gets_another_answer(one: str, other: str) -> None:
    assert (model.chat(chat_body(one)) == model.chat(chat_body(other))) == (one == other)
    assert (model.complete(text_body(one)) == model.complete(text_body(other))) == (one == other)


@pytest.mark.parametrize(
    "members",
    [
        {"model": "stand-in-brief"},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"seed": 7},
        {"tools": [WEATHER], "tool_choice": "none"},
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "?"}]},
    ],
    ids=lambda members: next(iter(members)),
)
def test_what_moves_a_real_models_words_moves_these(members: dict[str, object]) -> None:
    assert model.chat(chat_body(**members)) != model.chat(chat_body())


@pytest.mark.parametrize(
    "members",
    [{"stream": True}, {"stream_options": {"include_usage": True}}, {"max_tokens": 999}, {"n": 1}],
    ids=lambda members: next(iter(members)),
)
def test_what_only_moves_bytes_leaves_the_words_alone(members: dict[str, object]) -> None:
    assert model.chat(chat_body(**members)) == model.chat(chat_body())


def test_numbers_count_by_value_not_by_spelling() -> None:
    assert model.chat(chat_body(temperature=1)) == model.chat(chat_body(temperature=1.0))


def test_it_says_what_it_is_and_what_it_was_asked() -> None:
    (reply,) = model.chat(chat_body("Why?\n  Why?"))
    assert reply.text.startswith("Stand-in answer ")
    assert "no language model" in reply.text
    assert "“Why? Why?”" in reply.text


def test_a_long_question_is_quoted_in_part() -> None:
    (reply,) = model.chat(chat_body("x" * 500))
    assert "x" * 79 + "…”" in reply.text
    assert "x" * 80 not in reply.text


def test_the_parts_of_a_message_are_read_for_their_text() -> None:
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "text", "text": "this?"},
    ]
    (reply,) = model.chat(chat_body(parts))
    assert "“What is this?”" in reply.text


def test_n_choices_differ() -> None:
    replies = model.chat(chat_body(n=3))
    assert len({reply.text for reply in replies}) == 3


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_and_says_length(name: str) -> None:
    (whole,) = model.chat(chat_body())
    (cut,) = model.chat(chat_body(**{name: 5}))
    assert (cut.tokens, cut.finish_reason) == (whole.tokens[:5], "length")
    assert whole.finish_reason == "stop"


def test_a_limit_that_is_just_met_is_no_cut() -> None:
    (whole,) = model.chat(chat_body())
    (met,) = model.chat(chat_body(max_tokens=len(whole.tokens)))
    assert met == whole


@pytest.mark.parametrize(
    ("stop", "end"),
    [
        ("language", "I am no "),
        (["table", "language"], "I am no "),
        ([], None),
        ("", None),
        ("nowhere in it", None),
    ],
)
def test_the_first_stop_sequence_ends_the_answer_before_it(stop: object, end: str | None) -> None:
    (whole,) = model.chat(chat_body())
    (reply,) = model.chat(chat_body(stop=stop))
    assert reply.finish_reason == "stop"
    assert reply.text.endswith(end) if end else reply == whole


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, "weather"),
        ("auto", "weather"),
        ("required", "weather"),
        ("none", None),
        ({"type": "function", "function": {"name": "time"}}, "time"),
        ({"type": "function", "function": {"name": "unheard-of"}}, None),
    ],
)
def test_tool_choice_decides_which_function_is_called(choice: object, called: str | None) -> None:
    (reply,) = model.chat(chat_body(tools=[WEATHER, TIME], tool_choice=choice))
    assert reply.function == called
    assert reply.finish_reason == ("tool_calls" if called else "stop")


def test_a_calls_arguments_fit_the_functions_schema() -> None:
    (reply,) = model.chat(chat_body("Rome", tools=[WEATHER]))
    assert json.loads(reply.text) == {"city": "Rome"}


@pytest.mark.parametrize(("choice", "called"), [("auto", None), ("required", "weather")])
def test_after_a_tools_result_only_required_calls_again(choice: str, called: str | None) -> None:
    messages = [
        {"role": "user", "content": "Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
    ]
    (reply,) = model.chat(chat_body(messages=messages, tools=[WEATHER], tool_choice=choice))
    assert reply.function == called


def test_required_without_tools_is_an_answer_in_words() -> None:
    (reply,) = model.chat(chat_body(tool_choice="required"))
    assert reply.function is None


def test_a_call_that_is_cut_says_length() -> None:
    (reply,) = model.chat(chat_body(tools=[WEATHER], max_tokens=2))
    assert (reply.finish_reason, len(reply.tokens)) == ("length", 2)


def test_structured_output_fits_its_schema() -> None:
    form = {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"properties": {"n": {"type": "integer"}}}},
    }
    (reply,) = model.chat(chat_body(response_format=form))
    assert json.loads(reply.text) == {"n": 1}


def test_json_object_is_an_object() -> None:
    (reply,) = model.chat(chat_body(response_format={"type": "json_object"}))
    assert set(json.loads(reply.text)) == {"answer"}


def test_the_text_format_is_no_format() -> None:
    (reply,) = model.chat(chat_body(response_format={"type": "text"}))
    assert reply.text == model.chat(chat_body())[0].text


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)],
)
def test_every_prompt_is_answered_n_times(prompt: object, count: int) -> None:
    replies = model.complete(text_body(prompt, n=2))
    assert len(replies) == count * 2
    assert len({reply.text for reply in replies}) == count * 2


def test_a_text_ends_after_sixteen_tokens_unless_told_otherwise() -> None:
    (short,) = model.complete(text_body())
    (long,) = model.complete(text_body(max_tokens=500))
    assert (len(short.tokens), short.finish_reason) == (16, "length")
    assert (long.tokens[:16], long.finish_reason) == (short.tokens, "stop")


def test_prompts_cost_what_they_hold() -> None:
    one, two = chat_body("one two"), chat_body("one two three")
    assert model.chat_prompt_tokens(two) - model.chat_prompt_tokens(one) == 1
    assert model.text_prompt_tokens(text_body(["one two", "three"])) == 3
