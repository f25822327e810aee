from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from sample_app.app import create_app
from sample_app.stand_in import Pace, StandIn

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
QUESTION: dict[str, Any] = {
    "model": "stand-in-brief",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


class Naps(list[float]):
    """Notes how long was slept, and does not sleep."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
async def http(naps: Naps):
    app = create_app(StandIn(Pace(sleep=naps.sleep), clock=lambda: 1234.5))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as client:
        yield client


@pytest.fixture
def sdk(http: httpx.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url="http://sample/v1", http_client=http)


def events(body: str) -> list[Any]:
    *lines, done, end = body.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_a_chat_answer_has_every_member(http: httpx.AsyncClient) -> None:
    answer = (await http.post(CHAT, json=QUESTION)).json()
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["created"]) == ("chat.completion", 1234)
    assert answer["model"] == "stand-in-brief"
    assert answer["system_fingerprint"]
    (choice,) = answer["choices"]
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    assert choice["message"]["role"] == "assistant"
    assert "Why is the sky blue?" in choice["message"]["content"]


async def test_the_usage_adds_up(http: httpx.AsyncClient) -> None:
    body = {**QUESTION, "n": 2, "max_tokens": 7}
    usage = (await http.post(CHAT, json=body)).json()["usage"]
    assert usage["completion_tokens"] == 14
    assert usage["total_tokens"] == usage["prompt_tokens"] + 14


async def test_every_question_that_reaches_the_model_gets_an_id_of_its_own(
    http: httpx.AsyncClient,
) -> None:
    fresh = {"cache-control": "no-cache"}
    answers = [(await http.post(CHAT, json=QUESTION, headers=fresh)).json() for _ in range(2)]
    assert answers[0]["id"] != answers[1]["id"]
    assert answers[0]["choices"] == answers[1]["choices"]


async def test_the_second_ask_is_a_hit_and_the_model_sleeps_no_more(
    http: httpx.AsyncClient, naps: Naps
) -> None:
    first = await http.post(CHAT, json=QUESTION)
    slept = len(naps)
    second = await http.post(CHAT, json=QUESTION)
    assert first.headers["cache-status"].startswith("askonce; fwd=miss")
    assert second.headers["cache-status"].startswith("askonce; hit; ttl=")
    assert (second.content, len(naps)) == (first.content, slept)


async def test_one_answer_serves_both_shapes(http: httpx.AsyncClient) -> None:
    plain = await http.post(CHAT, json=QUESTION)
    stream = await http.post(CHAT, json={**QUESTION, **USAGE})
    assert "hit" in stream.headers["cache-status"]
    deltas = [chunk["choices"][0]["delta"] for chunk in events(stream.text) if chunk["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert text == plain.json()["choices"][0]["message"]["content"]


async def test_a_stream_says_what_the_plain_answer_says(http: httpx.AsyncClient) -> None:
    fresh = {"cache-control": "no-cache"}
    plain = (await http.post(CHAT, json={**QUESTION, "n": 2})).json()
    stream = await http.post(CHAT, json={**QUESTION, "n": 2, "stream": True}, headers=fresh)
    assert stream.headers["content-type"].startswith("text/event-stream")
    chunks = events(stream.text)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    for choice in plain["choices"]:
        mine = [c["choices"][0] for c in chunks if c["choices"][0]["index"] == choice["index"]]
        text = "".join(part["delta"].get("content", "") for part in mine)
        assert text == choice["message"]["content"]
        assert [part["finish_reason"] for part in mine[-2:]] == [None, "stop"]


async def test_a_stream_tells_its_usage_to_who_asked(http: httpx.AsyncClient) -> None:
    plain = (await http.post(CHAT, json=QUESTION)).json()
    fresh = {"cache-control": "no-cache"}
    chunks = events((await http.post(CHAT, json={**QUESTION, **USAGE}, headers=fresh)).text)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], plain["usage"])


async def test_a_stream_keeps_its_usage_from_who_did_not(http: httpx.AsyncClient) -> None:
    chunks = events((await http.post(CHAT, json={**QUESTION, "stream": True})).text)
    assert not any("usage" in chunk for chunk in chunks)


async def test_a_stream_takes_its_time(http: httpx.AsyncClient, naps: Naps) -> None:
    await http.post(CHAT, json={**QUESTION, "stream": True, "max_tokens": 4})
    assert naps == [0.3, 0.025, 0.025, 0.025]


async def test_a_plain_answer_takes_as_long_as_its_longest_choice(
    http: httpx.AsyncClient, naps: Naps
) -> None:
    await http.post(CHAT, json={**QUESTION, "n": 2, "max_tokens": 5})
    assert naps == [pytest.approx(0.3 + 4 * 0.025)]


async def test_a_tool_call_streams_in_fragments(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(**QUESTION, tools=[TOOL], stream=True)
    calls, finish = [], []
    async for chunk in stream:
        calls += chunk.choices[0].delta.tool_calls or []
        finish.append(chunk.choices[0].finish_reason)
    assert [call.function.name for call in calls if call.id] == ["weather"]
    assert json.loads("".join(call.function.arguments for call in calls)) == {}
    assert finish[-1] == "tool_calls"


async def test_a_tool_call_comes_whole(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**QUESTION, tools=[TOOL])
    message = answer.choices[0].message
    assert message.content is None
    (call,) = message.tool_calls
    assert (call.type, call.function.name, call.function.arguments) == ("function", "weather", "{}")
    assert call.id.startswith("call_")


async def test_text_completions_answer_every_prompt(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.completions.create(model="stand-in", prompt=["one", "two"], n=2)
    assert (answer.object, len(answer.choices)) == ("text_completion", 4)
    assert answer.id.startswith("cmpl-")
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage.completion_tokens == 64


async def test_text_completions_stream(http: httpx.AsyncClient) -> None:
    body = {"model": "stand-in", "prompt": "one", "max_tokens": 400}
    fresh = {"cache-control": "no-cache"}
    plain = (await http.post(TEXT, json=body)).json()
    chunks = events((await http.post(TEXT, json={**body, **USAGE}, headers=fresh)).text)
    *parts, last = chunks
    assert "".join(part["choices"][0]["text"] for part in parts) == plain["choices"][0]["text"]
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["usage"] == plain["usage"]


async def test_the_models_are_listed(sdk: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in sdk.models.list()]
    assert names == ["stand-in", "stand-in-brief"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {**QUESTION, "model": "gpt-99"}),
        (TEXT, {"model": "gpt-99", "prompt": "one"}),
    ],
)
async def test_an_unknown_model_is_not_found(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "gpt-99" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        (CHAT, b"", ""),
        (CHAT, b"{", ""),
        (CHAT, b"[]", "object"),
        (CHAT, b'{"model": "\xff"}', ""),
        (CHAT, b'{"messages": ' + b"[" * 10_000, ""),
        (CHAT, b'{"messages": [{"role": "user"}]}', "model"),
        (CHAT, b'{"model": "stand-in", "messages": []}', "messages"),
        (CHAT, b'{"model": "stand-in", "messages": [{}]}', "role"),
        (CHAT, b'{"model": "stand-in", "messages": [{"role": "user"}], "n": 0}', "$.n"),
        (CHAT, b'{"model": "stand-in", "messages": [{"role": "user"}], "stop": 1}', "$.stop"),
        (CHAT, b'{"model": "stand-in", "messages": [{"role": "user"}], "max_tokens": 0}', "max_t"),
        (TEXT, b'{"model": "stand-in"}', "prompt"),
        (TEXT, b'{"model": "stand-in", "prompt": {}}', "prompt"),
    ],
)
async def test_a_malformed_body_is_a_400_that_says_where(
    http: httpx.AsyncClient, path: str, body: bytes, names: str
) -> None:
    answer = await http.post(path, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert names in error["message"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/main.js", "text/javascript"), ("/base.css", "text/css")],
)
async def test_the_page_is_served(http: httpx.AsyncClient, path: str, kind: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    assert "cache-status" not in answer.headers


async def test_the_page_asks_nobody_else(http: httpx.AsyncClient) -> None:
    html = (await http.get("/")).text
    assert "default-src 'self'" in html
    assert "://" not in html
    assert "style=" not in html
    assert "onclick" not in html
