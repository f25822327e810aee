"""Text completions: which requests are ours, how many choices they get, what is keyed."""

from __future__ import annotations

import json
from typing import Any

import jiter
import pytest

from askonce.calls.base import Ask, Bypass, Complete, KeyOptions, Suffix
from askonce.calls.text import TextCompletion
from askonce.entry import Answer

CALL = TextCompletion()
ASKED = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say this is a test"}


def read(body: dict[str, Any], deployment: str | None = None, **options: Any) -> Any:
    return CALL.ask(body, deployment, KeyOptions(**options))


def asked(**members: Any) -> Ask:
    got = read(ASKED | members)
    assert isinstance(got, Ask)
    return got


def test_the_name_and_the_path() -> None:
    assert CALL.name == "text_completion"
    assert CALL.suffixes == (Suffix("/completions", versioned=True),)


PROMPTS = [
    ("", 1),
    ("a", 1),
    (None, 1),
    ([1, 2, 3], 1),
    (["a"], 1),
    (["a", "b"], 2),
    ([[1, 2], [3]], 2),
]


@pytest.mark.parametrize(("prompt", "prompts"), PROMPTS)
def test_each_prompt_gets_n_choices(prompt: Any, prompts: int) -> None:
    assert asked(prompt=prompt).expected == prompts
    assert asked(prompt=prompt, n=3).expected == 3 * prompts
    assert asked(prompt=prompt, n=2, best_of=5, echo=True).expected == 2 * prompts


WRONG = [
    [],
    [[]],
    [1, "a"],
    ["a", [1]],
    [[1], "a"],
    [["a"]],
    [True],
    [None],
    {},
    1,
    True,
    [[1], []],
]


@pytest.mark.parametrize("prompt", WRONG)
def test_prompts_of_another_type_are_for_the_app_to_answer(prompt: Any) -> None:
    assert read(ASKED | {"prompt": prompt}) == Bypass("wrong-type")


@pytest.mark.parametrize(
    "members", [{"model": 1}, {"stream": "yes"}, {"n": 0}, {"stream_options": 1}]
)
def test_parameters_of_another_type_are_too(members: dict[str, Any]) -> None:
    assert read(ASKED | members) == Bypass("wrong-type")


def test_a_number_that_cannot_be_keyed_exactly_is_bypassed() -> None:
    assert read(ASKED | {"x": 10**30}) == Bypass("number-range")


@pytest.mark.parametrize(
    "body", [{}, {"prompt": "a"}, {"model": "m"}, {"model": "m", "messages": []}]
)
def test_what_lacks_the_shape_of_the_api_is_not_ours(body: dict[str, Any]) -> None:
    assert read(body) is None


def test_a_deployment_stands_in_for_the_model() -> None:
    ask = read({"prompt": "a"}, "my-gpt")
    assert isinstance(ask, Ask)
    assert ask.model == "my-gpt"


def test_a_stream_is_due_a_usage_if_it_asked_for_one() -> None:
    assert (asked().shape, asked().usage_due) == ("plain", True)
    assert (asked(stream=True).shape, asked(stream=True).usage_due) == ("stream", False)
    assert asked(stream=True, stream_options={"include_usage": True}).usage_due


@pytest.mark.parametrize("name", ["stream", "stream_options", "prompt_cache_key"])
def test_what_cannot_change_the_answer_is_not_keyed(name: str) -> None:
    value = {"stream": True, "stream_options": {}, "prompt_cache_key": "k"}[name]
    assert asked(**{name: value}).digest == asked().digest


def test_who_asks_is_keyed_unless_callers_share() -> None:
    assert asked(user="u").digest != asked().digest
    shared = read(ASKED | {"user": "u"}, share=True)
    assert shared.digest == read(ASKED, share=True).digest
    assert shared.withheld == {"user", "safety_identifier", "metadata"}


@pytest.mark.parametrize(
    "members", [{"prompt": "b"}, {"suffix": "x"}, {"echo": True}, {"best_of": 2}]
)
def test_everything_else_is_keyed(members: dict[str, Any]) -> None:
    assert asked(**members).digest != asked().digest


NUMBERS = [
    "best_of",
    "frequency_penalty",
    "logprobs",
    "max_tokens",
    "presence_penalty",
    "seed",
    "temperature",
    "top_p",
]


@pytest.mark.parametrize("name", NUMBERS)
def test_documented_numbers_are_keyed_by_their_value(name: str) -> None:
    one = jiter.from_json(b"1.0", float_mode="lossless-float")
    assert asked(**{name: one}).digest == asked(**{name: 1}).digest


def test_an_answer_needs_a_finish_reason_for_every_prompt() -> None:
    choices = [{"index": number, "text": "a", "finish_reason": "length"} for number in range(2)]
    body = json.dumps({"choices": choices}).encode()
    answer = Answer(200, (), body, "plain", b"application/json")
    assert CALL.verdict(asked(prompt=["a", "b"]), answer) == Complete()
    assert CALL.verdict(asked(prompt="a"), answer) != Complete()


def test_an_error_is_written_as_openai_does() -> None:
    error = jiter.from_json(CALL.error("No.", code="c"))["error"]
    assert (error["message"], error["code"], error["param"]) == ("No.", "c", None)
