from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sample_app.app import create_app
from sample_app.upstream import Relay, Upstream
from support.slow_provider import Provider, Silent, served

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATIENCE = 10  # seconds until a test that hangs fails


@pytest.fixture
async def provider():
    return Provider()


@pytest.fixture
async def upstream_url(provider: Provider):
    async with served(provider.app()) as url:
        yield f"{url}/v1"


@pytest.fixture
async def http(upstream_url: str):
    async with (
        served(create_app(Upstream(upstream_url))) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client,
    ):
        yield client


async def ask(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await http.post("/v1/chat/completions", json=QUESTION, headers=headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models")],
)
async def test_each_route_reaches_its_own(
    http: httpx.AsyncClient, provider: Provider, method: str, path: str
) -> None:
    answer = await http.request(method, f"{path}?api-version=7&a=%2F")
    assert answer.json() == {"ok": True}
    heard = provider.heard[0]
    assert (heard.method, heard.url.path, heard.url.query) == (method, path, "api-version=7&a=%2F")


async def test_the_body_goes_through_byte_for_byte(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    body = b'{ "model":"m",\n"messages": [{"role":"user","content":"\xc3\xa9"}] }'
    await http.post("/v1/chat/completions", content=body)
    assert provider.bodies == [body]


async def test_credentials_go_through_and_the_rest_stays(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    passed = {
        "authorization": "Bearer k1",
        "api-key": "k2",
        "x-api-key": "k3",
        "openai-organization": "o",
        "openai-project": "p",
        "openai-beta": "b",
        "content-type": "application/json; charset=utf-8",
    }
    await ask(http, **passed, cookie="a=b", **{"x-forwarded-for": "10.0.0.1"})
    heard = provider.heard[0].headers
    assert passed.items() <= dict(heard).items()
    assert "cookie" not in heard
    assert "x-forwarded-for" not in heard


async def test_without_credentials_none_are_made_up(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    await ask(http)
    assert "authorization" not in provider.heard[0].headers


async def test_status_headers_and_body_come_back(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.answer = JSONResponse({"error": {"message": "slow down"}}, 429)
    provider.answer.raw_headers += [
        (b"retry-after", b"7"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]
    answer = await ask(http)
    assert (answer.status_code, answer.json()) == (429, {"error": {"message": "slow down"}})
    assert answer.headers["retry-after"] == "7"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_hop_by_hop_headers_end_here(http: httpx.AsyncClient, provider: Provider) -> None:
    provider.answer = PlainTextResponse("x")
    provider.answer.raw_headers += [
        (b"connection", b"keep-alive, X-Private"),
        (b"keep-alive", b"timeout=5"),
        (b"x-private", b"1"),
        (b"x-public", b"1"),
    ]
    answer = await ask(http)
    assert "x-private" not in answer.headers
    assert "keep-alive" not in answer.headers
    assert answer.headers["x-public"] == "1"
    assert len(answer.headers.get_list("date")) == 1
    assert len(answer.headers.get_list("server")) == 1


async def test_one_callers_cookie_is_not_sent_for_another(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.answer = JSONResponse({}, headers={"set-cookie": "session=secret; Path=/"})
    await ask(http, authorization="Bearer one")
    await ask(http, authorization="Bearer two")
    assert [heard.headers.get("cookie") for heard in provider.heard] == [None, None]


async def test_a_redirect_is_the_clients_to_follow(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.answer = Response(status_code=307, headers={"location": "https://example.org/"})
    answer = await ask(http)
    assert (answer.status_code, answer.headers["location"]) == (307, "https://example.org/")


async def test_the_first_chunk_arrives_before_the_provider_ends(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.streams(provider.two_parts())
    async with http.stream("POST", "/v1/chat/completions", json=QUESTION) as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"data: one\n\n"
        assert not provider.go_on.is_set()
        provider.go_on.set()
        assert b"".join([chunk async for chunk in chunks]) == b"data: [DONE]\n\n"


async def test_a_client_that_leaves_a_stream_closes_it_at_the_provider(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.streams(provider.two_parts())
    async with http.stream("POST", "/v1/chat/completions", json=QUESTION) as answer:
        await anext(answer.aiter_raw())
    await asyncio.wait_for(provider.gone.wait(), PATIENCE)
    assert not provider.go_on.is_set()


async def test_a_server_that_cannot_send_leaves_nothing_open() -> None:
    class Stream(httpx.AsyncByteStream):
        closed = False

        async def __aiter__(self):
            yield b"data: one\n\n"

        async def aclose(self) -> None:
            self.closed = True

    async def send(message) -> None:
        raise OSError("the client is gone")

    stream = Stream()
    relay = Relay(httpx.Response(200, stream=stream))
    with pytest.raises(ClientDisconnect):
        await relay({"type": "http", "asgi": {"spec_version": "2.4"}}, None, send)
    assert stream.closed


async def test_a_client_that_leaves_before_the_answer_is_not_waited_for(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.answer = Silent(provider)
    asking = asyncio.create_task(ask(http))
    await asyncio.wait_for(provider.arrived.wait(), PATIENCE)
    asking.cancel()
    await asyncio.wait_for(provider.gone.wait(), PATIENCE)


async def test_a_stream_that_breaks_off_is_not_ended_cleanly(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    provider.streams(provider.breaks_off())
    async with http.stream("POST", "/v1/chat/completions", json=QUESTION) as answer:
        chunks = answer.aiter_raw()
        await anext(chunks)
        provider.go_on.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)


async def test_a_provider_that_is_not_there_is_a_502() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    app = create_app(Upstream(f"http://127.0.0.1:{port}/v1"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as client:
        answer = await ask(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert answer.json()["error"]["type"] == "server_error"


async def test_a_provider_that_does_not_answer_is_a_504(
    provider: Provider, upstream_url: str
) -> None:
    provider.answer = Silent(provider)
    hurried = Upstream(upstream_url, httpx.Timeout(PATIENCE, read=0.05))
    transport = httpx.ASGITransport(create_app(hurried))
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as client:
        answer = await ask(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize("url", ["api.openai.com/v1", "ftp://host/v1", "https://", "http://[::1"])
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="UPSTREAM_URL"):
        Upstream(url)
