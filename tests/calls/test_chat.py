"""Chat completions: which requests are ours, which are bypassed and why, what is keyed."""

from __future__ import annotations

import json
from typing import Any

import jiter
import pytest

from askonce.calls.base import Ask, Bypass, Complete, Incomplete, KeyOptions, Suffix
from askonce.calls.chat import Completion
from askonce.calls.hosted import HOSTED
from askonce.calls.params import IGNORED, IGNORED_WHEN_SHARED
from askonce.entry import Answer

CALL = Completion()
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CUSTOM = {"type": "custom", "custom": {"name": "g"}}


def read(body: dict[str, Any], deployment: str | None = None, **options: Any) -> Any:
    return CALL.ask(body, deployment, KeyOptions(**options))


def asked(**members: Any) -> Ask:
    got = read(ASKED | members)
    assert isinstance(got, Ask)
    return got


def test_the_name_and_the_path() -> None:
    assert CALL.name == "completion"
    assert CALL.suffixes == (Suffix("/chat/completions"),)


def test_a_plain_request() -> None:
    ask = asked()
    assert (ask.shape, ask.usage_due, ask.expected, ask.model) == ("plain", True, 1, "gpt-4o")
    assert (len(ask.digest), ask.withheld) == (32, frozenset())


SHAPES = [
    ({}, "plain", True),
    ({"stream": None}, "plain", True),
    ({"stream": False}, "plain", True),
    ({"stream_options": {"include_usage": True}}, "plain", True),
    ({"stream": True}, "stream", False),
    ({"stream": True, "stream_options": None}, "stream", False),
    ({"stream": True, "stream_options": {}}, "stream", False),
    ({"stream": True, "stream_options": {"include_usage": None}}, "stream", False),
    ({"stream": True, "stream_options": {"include_usage": False}}, "stream", False),
    ({"stream": True, "stream_options": {"include_usage": True}}, "stream", True),
]


@pytest.mark.parametrize(("members", "shape", "usage_due"), SHAPES)
def test_the_shape_and_whether_a_usage_is_due(members: Any, shape: str, usage_due: bool) -> None:
    ask = asked(**members)
    assert (ask.shape, ask.usage_due) == (shape, usage_due)


@pytest.mark.parametrize(("n", "expected"), [(None, 1), (1, 1), (3, 3)])
def test_as_many_choices_are_expected_as_n_says(n: int | None, expected: int) -> None:
    assert asked(n=n).expected == expected


def test_a_deployment_stands_in_for_the_model() -> None:
    messages = {"messages": []}
    ask = read(messages, "my-gpt")
    assert isinstance(ask, Ask)
    assert ask.model == "my-gpt"
    ask = read(ASKED, "my-gpt")
    assert isinstance(ask, Ask)
    assert ask.model == "gpt-4o"


@pytest.mark.parametrize(
    "body", [{}, {"model": "m"}, {"messages": []}, {"prompt": "", "model": "m"}]
)
def test_what_lacks_the_shape_of_the_api_is_not_ours(body: dict[str, Any]) -> None:
    assert read(body) is None


WRONG = [
    {"messages": "Hi"},
    {"messages": None},
    {"messages": {}},
    {"model": None},
    {"model": 4},
    {"stream": 1},
    {"stream": "true"},
    {"stream_options": []},
    {"stream_options": {"include_usage": 1}},
    {"n": 0},
    {"n": -1},
    {"n": True},
    {"n": "2"},
    {"n": jiter.from_json(b"2.0", float_mode="lossless-float")},
    {"store": "yes"},
    {"tools": {}},
    {"modalities": "text"},
]


@pytest.mark.parametrize("members", WRONG)
def test_a_wrong_type_is_for_the_app_to_answer(members: dict[str, Any]) -> None:
    assert read(ASKED | members) == Bypass("wrong-type")


BYPASSED = [
    ({"store": True}, "store"),
    ({"tools": [FUNCTION, {"type": "web_search_preview"}]}, "hosted-tools"),
    ({"tools": [{"type": "mcp"}]}, "hosted-tools"),
    ({"tools": [{"type": "code_interpreter"}]}, "hosted-tools"),
    ({"tools": [{"type": "openrouter:web_search"}]}, "hosted-tools"),
    ({"tools": [{"type": ["function"]}]}, "hosted-tools"),
    ({"tools": [{"function": {"name": "f"}}]}, "hosted-tools"),
    ({"tools": ["f"]}, "hosted-tools"),
    ({"web_search_options": {}}, "hosted-tools"),
    ({"enable_search": True}, "hosted-tools"),
    ({"plugins": [{"id": "web"}]}, "hosted-tools"),
    ({"data_sources": [{"type": "azure_search"}]}, "hosted-tools"),
    ({"search_parameters": {"mode": "auto"}}, "hosted-tools"),
    ({"compound_custom": {"tools": {}}}, "hosted-tools"),
    ({"search_settings": {"country": "norway"}}, "hosted-tools"),
    ({"modalities": ["text", "audio"]}, "audio-output"),
    ({"audio": {"voice": "alloy", "format": "wav"}}, "audio-output"),
    ({"seed": 10**30, "x": 10**30}, "number-range"),
]


@pytest.mark.parametrize(("members", "reason"), BYPASSED)
def test_what_must_not_be_cached_is_bypassed(members: dict[str, Any], reason: str) -> None:
    assert read(ASKED | members) == Bypass(reason)


CACHED = [
    {"store": False},
    {"store": None},
    {"tools": None},
    {"tools": []},
    {"tools": [FUNCTION, CUSTOM]},
    {"modalities": ["text"]},
    {"modalities": None},
    {"audio": None},
    *({name: value} for name in HOSTED for value in (None, False, [])),
]


@pytest.mark.parametrize("members", CACHED)
def test_what_looks_like_it_but_is_harmless_is_cached(members: dict[str, Any]) -> None:
    assert isinstance(read(ASKED | members), Ask)


@pytest.mark.parametrize("members", [{"tools": [{"type": "mcp"}]}, {"web_search_options": {}}])
def test_the_operator_may_cache_hosted_tools(members: dict[str, Any]) -> None:
    assert isinstance(read(ASKED | members, cache_hosted_tools=True), Ask)


VALUES = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"ttl": "30m"},
    "user": "u",
    "safety_identifier": "s",
    "metadata": {"a": "b"},
}


@pytest.mark.parametrize("name", IGNORED)
def test_what_cannot_change_the_answer_is_not_keyed(name: str) -> None:
    assert asked(**{name: VALUES[name]}).digest == asked().digest


@pytest.mark.parametrize("name", IGNORED_WHEN_SHARED)
def test_who_asks_is_keyed_unless_callers_share(name: str) -> None:
    body = ASKED | {name: VALUES[name]}
    assert asked(**{name: VALUES[name]}).digest != asked().digest
    shared, anyone = read(body, share=True), read(ASKED, share=True)
    assert shared.digest == anyone.digest
    assert name in shared.withheld
    assert shared.withheld == anyone.withheld


def test_what_is_keyed_is_not_withheld() -> None:
    assert asked(user="u").withheld == frozenset()


KEYED = [
    {"messages": [{"role": "user", "content": "Hi!"}]},
    {"model": "gpt-4o-mini"},
    {"temperature": 0},
    {"n": 2},
    {"tools": [FUNCTION]},
    {"response_format": {"type": "json_object"}},
    {"cache": "mine"},
    {"unheard_of": None},
]


@pytest.mark.parametrize("members", KEYED)
def test_everything_else_is_keyed(members: dict[str, Any]) -> None:
    assert asked(**members).digest != asked().digest


NUMBERS = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "presence_penalty",
    "seed",
    "temperature",
    "top_logprobs",
    "top_p",
]


@pytest.mark.parametrize("name", NUMBERS)
def test_documented_numbers_are_keyed_by_their_value(name: str) -> None:
    one = jiter.from_json(b"1.0", float_mode="lossless-float")
    assert asked(**{name: one}).digest == asked(**{name: 1}).digest
    assert asked(logit_bias={"5": one}).digest == asked(logit_bias={"5": 1}).digest
    assert asked(unheard_of=one).digest != asked(unheard_of=1).digest


@pytest.mark.parametrize("name", ["tools", "functions", "response_format"])
def test_the_order_inside_schemas_is_keyed(name: str) -> None:
    one = asked(**{name: [{"type": "function", "a": 1, "b": 2}]})
    other = asked(**{name: [{"type": "function", "b": 2, "a": 1}]})
    assert one.digest != other.digest


def test_an_answer_needs_a_finish_reason_for_every_choice() -> None:
    choices = [{"index": number, "message": {}, "finish_reason": "stop"} for number in range(2)]
    body = json.dumps({"choices": choices}).encode()
    answer = Answer(200, (), body, "plain", b"application/json")
    assert CALL.verdict(asked(n=2), answer) == Complete()
    assert CALL.verdict(asked(), answer) == Incomplete("choices")


def test_an_error_is_written_as_openai_does() -> None:
    assert jiter.from_json(CALL.error("No.", code="c", param="cache.ttl")) == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "cache.ttl",
            "code": "c",
        }
    }
    assert jiter.from_json(CALL.error("No.", code="c"))["error"]["param"] is None
