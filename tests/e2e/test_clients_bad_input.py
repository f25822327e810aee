"""Bad input: the app gets exactly the client's bytes and answers for them; nothing is stored.

The app answers whatever comes with a complete answer that could be stored, were it not for the
request. Its content is the SHA-256 of the bytes that the app got.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from askonce import CacheMiddleware, CacheSettings
from support.cache_status import HIT, MISS
from support.server import PATIENCE, Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

CHAT = "/v1/chat/completions"
LIMIT = 64 * 1024

READABLE = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
LONG = b'{"model": "m", "messages": [], "filler": "%b"}' % (b"x" * LIMIT)
DEEP = b'{"model": "m", "messages": %b%b}' % (b"[" * 10_000, b"]" * 10_000)


@dataclass
class Echo:
    """Answers every request with a hash of its bytes, and counts."""

    heads: list[dict[str, str]] = field(default_factory=list)

    async def chat(self, request: Request) -> Response:
        body = await request.body()
        self.heads.append(dict(request.headers))
        message = {"role": "assistant", "content": hashlib.sha256(body).hexdigest()}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        envelope = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return JSONResponse({**envelope, "choices": [choice], "usage": usage})


@dataclass
class Site:
    echo: Echo
    served: Served
    client: httpx.Client

    def post(self, content: bytes | Iterator[bytes], **fields: str) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        headers |= {name.replace("_", "-"): value for name, value in fields.items()}
        return self.client.post(CHAT, content=content, headers=headers)


@pytest.fixture(scope="module")
def site(no_settings: None) -> Iterator[Site]:
    echo = Echo()
    app = Starlette(routes=[Route(CHAT, echo.chat, methods=["POST"])])
    app.add_middleware(CacheMiddleware, settings=CacheSettings(max_request_bytes=LIMIT))
    with serve(app) as served, httpx.Client(base_url=served.url, timeout=PATIENCE) as client:
        yield Site(echo, served, client)
    assert served.complaints == []


def got(answer: httpx.Response) -> str:
    """The hash of the bytes that the app got."""
    return answer.json()["choices"][0]["message"]["content"]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bypassed(answer: httpx.Response) -> str:
    prefix = "askonce; fwd=bypass; detail="
    assert answer.headers["cache-status"].startswith(prefix)
    return answer.headers["cache-status"].removeprefix(prefix)


BAD = {
    "empty": (b"", "empty-body"),
    "white space": (b" \r\n\t ", "empty-body"),
    "cut short": (READABLE[:-1], "malformed-json"),
    "trailing": (READABLE + b"}", "malformed-json"),
    "no JSON": (b"model=m&messages=hi", "malformed-json"),
    "single quotes": (b"{'model': 'm', 'messages': []}", "malformed-json"),
    "NaN": (READABLE[:-1] + b', "temperature": NaN}', "malformed-json"),
    "infinity": (READABLE[:-1] + b', "temperature": -Infinity}', "malformed-json"),
    "not UTF-8": (READABLE.replace(b"hi", b"h\xff\xfe"), "malformed-json"),
    "UTF-16": (READABLE.decode().encode("utf-16"), "malformed-json"),
    "byte order mark": (b"\xef\xbb\xbf" + READABLE, "malformed-json"),
    "lone surrogate": (READABLE.replace(b"hi", rb"\ud800"), "malformed-json"),
    "raw control character": (READABLE.replace(b"hi", b"\x00"), "malformed-json"),
    "a name twice": (READABLE[:-1] + b', "model": "m"}', "duplicate-member"),
    "a deep name twice": (READABLE.replace(b'"hi"', b'"hi", "role": "user"'), "duplicate-member"),
    "too deep": (DEEP, "too-deep"),
    "an array": (b"[" + READABLE + b"]", "not-an-object"),
    "a string": (b'"hi"', "not-an-object"),
    "null": (b"null", "not-an-object"),
    "messages of a wrong type": (
        READABLE.replace(b'"messages": [', b'"messages": 5, "m": ['),
        "wrong-type",
    ),
    "model of a wrong type": (READABLE.replace(b'"m"', b"5"), "wrong-type"),
    "stream of a wrong type": (READABLE[:-1] + b', "stream": "yes"}', "wrong-type"),
    "n of a wrong type": (READABLE[:-1] + b', "n": "two"}', "wrong-type"),
    "n of nothing": (READABLE[:-1] + b', "n": 0}', "wrong-type"),
    "over the limit": (LONG, "request-too-large"),
}


def test_a_good_question_would_be_stored(site: Site) -> None:
    """Else none of the others would prove anything."""
    first, second = site.post(READABLE), site.post(READABLE)
    assert MISS.fullmatch(first.headers["cache-status"])
    assert HIT.fullmatch(second.headers["cache-status"])
    assert got(first) == got(second) == sha(READABLE)


@pytest.mark.parametrize(("body", "reason"), BAD.values(), ids=BAD)
def test_bad_input_reaches_the_app_byte_for_byte(site: Site, body: bytes, reason: str) -> None:
    before = len(site.echo.heads)
    answers = [site.post(body) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 200
        assert got(answer) == sha(body)
        assert bypassed(answer) == reason
        assert "age" not in answer.headers
    assert len(site.echo.heads) == before + 2
    assert site.echo.heads[-1]["content-length"] == str(len(body))


@pytest.mark.parametrize(("body", "reason"), BAD.values(), ids=BAD)
def test_bad_input_in_chunks_reaches_the_app_byte_for_byte(
    site: Site, body: bytes, reason: str
) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    answer = site.post(chunks())
    assert got(answer) == sha(body)
    assert bypassed(answer) == reason
    assert "content-length" not in site.echo.heads[-1]


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"this is no gzip", "gzip"),
        (gzip.compress(READABLE)[:-4], "gzip"),
        (gzip.compress(LONG), "gzip"),
        (READABLE, "rot13"),
        (READABLE, "gzip, gzip"),
    ],
    ids=["no gzip", "cut gzip", "unfolds too far", "unknown", "twice"],
)
def test_a_coding_that_cannot_be_undone_is_the_apps_to_undo(
    site: Site, body: bytes, coding: str
) -> None:
    answers = [site.post(body, Content_Encoding=coding) for _ in range(2)]
    assert [bypassed(answer) for answer in answers] == ["content-encoding"] * 2
    assert [got(answer) for answer in answers] == [sha(body)] * 2
    assert site.echo.heads[-1]["content-encoding"] == coding


@pytest.mark.parametrize("body", [b"{}", b'{"model": "m"}', b'{"messages": []}'])
def test_an_object_of_another_shape_is_not_ours(site: Site, body: bytes) -> None:
    answers = [site.post(body) for _ in range(2)]
    assert [got(answer) for answer in answers] == [sha(body)] * 2
    assert not any("cache-status" in answer.headers for answer in answers)


def test_doubled_credentials_are_not_guessed_at(site: Site) -> None:
    fields = [("Authorization", "Bearer one"), ("Authorization", "Bearer two")]
    answers = [site.client.post(CHAT, content=READABLE, headers=fields) for _ in range(2)]
    assert [bypassed(answer) for answer in answers] == ["doubled-credentials"] * 2


def test_a_wrong_cache_object_is_named_to_anyone(site: Site) -> None:
    before = len(site.echo.heads)
    answer = site.post(READABLE[:-1] + b', "cache": {"ttl": "soon"}}')
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-status"].startswith("askonce; ")
    assert answer.json()["error"]["param"] == "cache.ttl"
    assert len(site.echo.heads) == before


def test_a_cache_object_in_bad_input_stays_where_it_is(site: Site) -> None:
    """Who cannot read a body cannot cut it."""
    body = READABLE[:-1] + b', "cache": {"ttl": 5}, "model": "m"}'
    answer = site.post(body)
    assert got(answer) == sha(body)
    assert bypassed(answer) == "duplicate-member"


def test_a_cache_object_in_a_bypassed_question_is_cut_out(site: Site) -> None:
    body = READABLE[:-1] + b', "store": true%b}'
    answer = site.post(body % b', "cache": {"ttl": 5}')
    assert got(answer) == sha(body % b"")
    assert bypassed(answer) == "store"


def test_a_limit_is_the_last_length_that_is_read(site: Site) -> None:
    spare = LIMIT - len(READABLE)
    at_limit = site.post(READABLE + b" " * spare)
    over = site.post(READABLE + b" " * (spare + 1))
    assert "bypass" not in at_limit.headers["cache-status"]
    assert bypassed(over) == "request-too-large"


@pytest.mark.parametrize("body", [b"{", READABLE[:-1] + b', "n": "two"}', LONG])
def test_only_if_cached_is_refused_where_nothing_can_be_stored(site: Site, body: bytes) -> None:
    before = len(site.echo.heads)
    answer = site.post(body, Cache_Control="only-if-cached")
    assert answer.status_code == 504
    assert answer.headers["x-should-retry"] == "false"
    assert len(site.echo.heads) == before
