"""The official ``openai`` client gets, through the cache, just what it gets without one.

Every question is asked in every pair of shapes: first on a miss, then on a hit. What the client
parsed is compared field by field with what it parses of the same deterministic app, uncached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from support.cache_status import HIT, MISS, NOT_STORED, said
from support.sdk import Answer, AsyncSdk, Sdk, SyncSdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.sites import Site

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

CHATS: dict[str, dict[str, Any]] = {
    "text": {"temperature": 0.5},
    "tool": {"tools": [WEATHER]},
    "tools": {"tools": [WEATHER], "parallel_tool_calls": True},
    "choices": {"n": 2},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "refusal": {},
    "reasoning": {"reasoning_effort": "low"},
    "members": {},
}
TEXTS: dict[str, dict[str, Any]] = {
    "text": {"prompt": "Once", "max_tokens": 3},
    "prompts": {"prompt": ["Count:", "Go on:"]},
    "logprobs": {"prompt": "Spell:", "logprobs": 1},
}
PAIRS = [(first, second) for first in ("plain", "stream") for second in ("plain", "stream")]
CHAT_PAIRS = [*PAIRS, ("plain", "helper"), ("stream", "helper"), ("helper", "plain")]


class City(BaseModel):
    city: str
    degrees: float


@pytest.fixture(params=[SyncSdk, AsyncSdk], ids=["sync", "async"])
async def clients(
    request: pytest.FixtureRequest, bare: Site, cached: Site
) -> AsyncIterator[tuple[Sdk, Sdk]]:
    """The same client twice: without the cache and with it."""
    async with request.param(bare.url) as plainly, request.param(cached.url) as through:
        yield plainly, through


def about(model: str, *words: str) -> dict[str, Any]:
    """A chat question that no other test asks."""
    return {"model": model, "messages": [{"role": "user", "content": " ".join(words)}]}


async def both(
    plainly: Sdk, through: Sdk, first: str, second: str, **question: Any
) -> tuple[list[Answer], list[Answer]]:
    shapes = (first, second)
    expected = [await plainly.ask(shape, **question) for shape in shapes]
    answers = [await through.ask(shape, **question) for shape in shapes]
    return expected, answers


def equal(expected: Answer, answer: Answer, *, pieces: bool) -> bool:
    """Compare all fields; the pieces only where a hit replays what came in pieces."""
    return expected.whole == answer.whole and (not pieces or expected.pieces == answer.pieces)


@pytest.mark.parametrize(("first", "second"), CHAT_PAIRS)
@pytest.mark.parametrize("model", CHATS)
async def test_chat(
    clients: tuple[Sdk, Sdk], cached: Site, model: str, first: str, second: str
) -> None:
    plainly, through = clients
    before = cached.provider.calls
    question = about(model, type(through).__name__, first, second) | CHATS[model]
    expected, answers = await both(plainly, through, first, second, **question)
    assert said(through.statuses, MISS, HIT)
    assert cached.provider.calls == before + 1
    assert equal(expected[0], answers[0], pieces=True)
    assert equal(expected[1], answers[1], pieces=first != "plain")
    assert answers[1].whole["usage"]["total_tokens"] == 21


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("model", TEXTS)
async def test_legacy_completions(
    clients: tuple[Sdk, Sdk], cached: Site, model: str, first: str, second: str
) -> None:
    plainly, through = clients
    before = cached.provider.calls
    question = {"model": model, "seed": seed_of(type(through), first, second), **TEXTS[model]}
    expected, answers = await both(plainly, through, f"text_{first}", f"text_{second}", **question)
    assert said(through.statuses, MISS, HIT)
    assert cached.provider.calls == before + 1
    assert equal(expected[0], answers[0], pieces=True)
    assert equal(expected[1], answers[1], pieces=first != "plain")


def seed_of(sdk: type[Sdk], first: str, second: str) -> int:
    """A seed that no other test asks with."""
    return [SyncSdk, AsyncSdk].index(sdk) * len(PAIRS) + PAIRS.index((first, second))


async def test_an_answer_cut_by_length_is_kept(clients: tuple[Sdk, Sdk]) -> None:
    plainly, through = clients
    question = about("cut-short", type(through).__name__)
    expected, answers = await both(plainly, through, "stream", "plain", **question)
    assert said(through.statuses, MISS, HIT)
    assert [answer.whole for answer in answers] == [answer.whole for answer in expected]


@pytest.mark.parametrize("shape", ["plain", "stream"])
async def test_a_filtered_answer_is_not_kept(clients: tuple[Sdk, Sdk], shape: str) -> None:
    plainly, through = clients
    question = about("filtered", type(through).__name__, shape)
    expected, answers = await both(plainly, through, shape, shape, **question)
    assert said(through.statuses, NOT_STORED, NOT_STORED)
    assert answers == expected


async def test_a_stream_without_usage_serves_streams_alone(
    clients: tuple[Sdk, Sdk], cached: Site
) -> None:
    """Who is due a usage pays for it, and from then on everybody is served."""
    _, through = clients
    question = about("text", type(through).__name__, "without usage")
    shapes = ("thrifty", "thrifty", "plain", "thrifty", "stream")
    answers = [await through.ask(shape, **question) for shape in shapes]
    assert said(through.statuses, MISS, HIT, MISS, HIT, HIT)
    assert [answer.whole["usage"] is None for answer in answers] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_structured_outputs_are_parsed_alike(cached: Site) -> None:
    question = about("object", "structured")
    sdk = SyncSdk(cached.url)
    with sdk.client as client:
        chat = client.chat.completions
        parsed = chat.parse(**question, response_format=City)
        with chat.stream(**question, response_format=City) as stream:
            streamed = stream.get_final_completion()
    assert said(sdk.statuses, MISS, HIT)
    for completion in (parsed, streamed):
        assert completion.choices[0].message.parsed == City(city="Berlin", degrees=21.5)


def test_tool_arguments_are_parsed_alike(cached: Site) -> None:
    question = about("tools", "parsed") | {"tools": [WEATHER]}
    sdk = SyncSdk(cached.url)
    with sdk.client as client:
        chat = client.chat.completions
        answers = [chat.parse(**question)]
        for _ in range(2):
            with chat.stream(**question, stream_options={"include_usage": True}) as stream:
                answers.append(stream.get_final_completion())
    assert said(sdk.statuses, MISS, HIT, HIT)
    for answer in answers:
        calls = answer.choices[0].message.tool_calls or []
        assert [call.function.parsed_arguments for call in calls] == [
            {"city": "Berlin"},
            {"city": "Łódź"},
        ]


def test_a_request_id_is_the_providers_only_once(cached: Site) -> None:
    sdk = SyncSdk(cached.url)
    with sdk.client as client:
        ids = [
            client.chat.completions.create(**about("text", "request id"))._request_id
            for _ in range(2)
        ]
    assert ids == ["req_1", None]
    assert sdk.heard[1]["askonce-origin-request-id"] == "req_1"


def test_the_client_sees_the_providers_own_errors(cached: Site) -> None:
    with SyncSdk(cached.url).client as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**about("nobody", "knows this model"))
    assert caught.value.code == "model_not_found"
    assert NOT_STORED.fullmatch(caught.value.response.headers["cache-status"])
