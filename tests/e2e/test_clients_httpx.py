"""Plain HTTP with ``httpx``: what is on the wire, however the request comes."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.cache_status import HIT, MISS, ONLY_IF_CACHED
from support.provider import USAGE
from support.server import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.sites import Site

CHAT = "/v1/chat/completions"
GZIPPED = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(cached: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cached.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def body(request: pytest.FixtureRequest) -> bytes:
    """A question that no other test asks."""
    return question(request.node.name)


def question(text: str, **members: Any) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "text", "messages": messages, **members}).encode()


def is_miss(answer: httpx.Response) -> bool:
    return bool(MISS.fullmatch(answer.headers["cache-status"])) and "age" not in answer.headers


def is_hit(answer: httpx.Response) -> bool:
    fresh = HIT.fullmatch(answer.headers["cache-status"])
    return bool(fresh) and answer.headers["age"].isdigit()


def test_a_hit_has_the_same_bytes_and_the_headers_that_are_still_true(
    client: httpx.Client, body: bytes
) -> None:
    first, second = [client.post(CHAT, content=body, headers=JSON) for _ in range(2)]
    assert is_miss(first)
    assert is_hit(second)
    assert second.content == first.content
    kept = ("content-type", "content-length", "openai-version")
    assert [second.headers[name] for name in kept] == [first.headers[name] for name in kept]
    assert second.headers["askonce-origin-request-id"] == first.headers["x-request-id"]
    assert not {"x-request-id", "openai-processing-ms"} & set(second.headers)


def test_a_stream_is_the_same_bytes_and_no_length(client: httpx.Client) -> None:
    body = question("streamed", stream=True)
    first, second = [client.post(CHAT, content=body, headers=JSON) for _ in range(2)]
    assert is_miss(first)
    assert is_hit(second)
    assert second.content == first.content
    assert second.content.endswith(b"data: [DONE]\n\n")
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "content-length" not in second.headers


async def test_an_async_client_shares_with_a_sync_one(
    client: httpx.Client, cached: Site, body: bytes
) -> None:
    first = await asyncio.to_thread(client.post, CHAT, content=body, headers=JSON)
    async with httpx.AsyncClient(base_url=cached.url, timeout=PATIENCE) as other:
        # The two name themselves differently; User-Agent says nothing of the caller.
        second = await other.post(CHAT, content=body, headers=JSON)
        async with other.stream("POST", CHAT, content=question("a", stream=True)) as streamed:
            pieces = b"".join([piece async for piece in streamed.aiter_raw()])
    assert is_miss(first)
    assert is_hit(second)
    assert pieces.endswith(b"data: [DONE]\n\n")


def test_an_upload_in_chunks_is_the_same_question(client: httpx.Client, body: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 5):
            yield body[start : start + 5]

    first = client.post(CHAT, content=chunks(), headers=JSON)
    assert "content-length" not in first.request.headers
    second = client.post(CHAT, content=body, headers=JSON)
    third = client.post(CHAT, content=chunks(), headers=JSON)
    assert is_miss(first)
    assert is_hit(second)
    assert is_hit(third)


async def test_an_async_upload_in_chunks_reaches_the_app_whole(cached: Site, body: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 5):
            yield body[start : start + 5]

    async with httpx.AsyncClient(base_url=cached.url, timeout=PATIENCE) as client:
        answer = await client.post(CHAT, content=chunks(), headers=JSON)
    assert is_miss(answer)
    assert cached.provider.bodies[-1] == body


def test_a_compressed_question_reaches_the_app_as_it_was_sent(
    client: httpx.Client, cached: Site, body: bytes
) -> None:
    compressed = gzip.compress(body)
    first, second = [client.post(CHAT, content=compressed, headers=GZIPPED) for _ in range(2)]
    assert is_miss(first)
    assert is_hit(second)
    assert second.content == first.content
    assert cached.provider.bodies[-1] == compressed


def test_a_compressed_question_is_keyed_by_what_it_says(client: httpx.Client, body: bytes) -> None:
    levels = [gzip.compress(body, level, mtime=level) for level in (1, 9)]
    assert levels[0] != levels[1]
    first, second = [client.post(CHAT, content=sent, headers=GZIPPED) for sent in levels]
    assert is_miss(first)
    assert is_hit(second)
    other = client.post(CHAT, content=gzip.compress(body + b" "), headers=GZIPPED)
    assert is_hit(other)


def test_a_compressed_question_goes_on_decoded_if_it_has_a_cache_object(
    client: httpx.Client, cached: Site
) -> None:
    body = question("with a cache object", cache={"no-cache": True})
    answer = client.post(CHAT, content=gzip.compress(body), headers=GZIPPED)
    assert answer.status_code == 200
    assert is_miss(answer)
    assert cached.provider.bodies[-1] == question("with a cache object")


def test_one_connection_serves_hits_misses_and_refusals(
    client: httpx.Client, cached: Site, body: bytes
) -> None:
    """HTTP/1.1 keep-alive: every answer says where it ends."""
    only = {**JSON, "Cache-Control": "only-if-cached"}
    wrong = question("kept alive", cache={"ttl": "soon"})
    stream = question("kept alive", stream=True)
    asked = [(body, only), (body, JSON), (body, JSON), (wrong, JSON), (stream, JSON)]
    before = cached.provider.arrivals
    answers = [client.post(CHAT, content=sent, headers=fields) for sent, fields in asked]
    answers.append(client.post(CHAT, content=stream, headers=JSON))
    assert [answer.status_code for answer in answers] == [504, 200, 200, 400, 200, 200]
    assert ONLY_IF_CACHED.fullmatch(answers[0].headers["cache-status"])
    assert is_hit(answers[2])
    assert is_hit(answers[5])
    assert len(cached.provider.connections[before:]) == len(answers)
    assert len(set(cached.provider.connections[before:])) == 1


def test_a_usage_is_only_for_those_who_asked(client: httpx.Client, body: bytes) -> None:
    client.post(CHAT, content=body, headers=JSON)
    asked = json.loads(body)
    plain = client.post(CHAT, json=asked | {"stream": True})
    with_usage = client.post(
        CHAT, json=asked | {"stream": True, "stream_options": {"include_usage": True}}
    )
    assert is_hit(plain)
    assert is_hit(with_usage)
    assert b'"usage"' not in plain.content
    assert json.loads(with_usage.text.split("\n\n")[-3].removeprefix("data: "))["usage"] == USAGE


def test_the_head_of_a_stream_does_not_wait_for_its_beginning(client: httpx.Client) -> None:
    body = question("silent at first", stream=True)
    fields = {**JSON, "X-Gate": "httpx-head", "X-Silent": "yes"}
    with client.stream("POST", CHAT, content=body, headers=fields) as answer:
        assert is_miss(answer)
        client.post("/gates/httpx-head")
        assert answer.read().endswith(b"data: [DONE]\n\n")


def test_a_stream_is_not_held_back(client: httpx.Client) -> None:
    body = question("not held back", stream=True)
    fields = {**JSON, "X-Gate": "httpx"}
    with client.stream("POST", CHAT, content=body, headers=fields) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert b"[DONE]" not in first
        client.post("/gates/httpx")
        rest = b"".join(pieces)
    assert is_hit(again := client.post(CHAT, content=body, headers=JSON))
    assert again.content == first + rest


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_other_methods_pass(client: httpx.Client, method: str) -> None:
    answer = client.request(method, CHAT)
    assert answer.status_code == 405
    assert "cache-status" not in answer.headers


def test_a_client_that_leaves_during_its_upload_asked_nothing(
    client: httpx.Client, cached: Site, body: bytes
) -> None:
    """What it left behind is not a question; the next one on another connection is."""
    before = cached.provider.calls
    server = urlsplit(cached.url)
    with socket.create_connection((server.hostname, server.port), PATIENCE) as leaving:
        leaving.sendall(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n"
            % (CHAT.encode(), server.netloc.encode(), len(body) + 1)
        )
        leaving.sendall(body)
    assert is_miss(client.post(CHAT, content=body, headers=JSON))
    assert cached.provider.calls == before + 1
    assert cached.served.complaints == []
