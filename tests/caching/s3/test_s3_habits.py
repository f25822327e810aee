"""Servers that know less of S3 than others, and say so in ways of their own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from askonce.errors import BackendError
from support.s3_servers import OWNER, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.caching.s3_cache import S3Cache

    MakeCache = Callable[..., S3Cache]


class _Primitive(BaseHTTPRequestHandler):
    """A server that knows objects, and knows that it knows no conditions."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.objects.get(self.path)
        self._answer(404 if body is None else 200, body or _error("NoSuchKey"))

    def do_PUT(self) -> None:
        assert not self.headers["Expect"]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["If-Match"] or self.headers["If-None-Match"]:
            return self._answer(501, _error("NotImplemented"))
        self.objects[self.path] = body
        return self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(501, _error("NotImplemented"))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-MD5"]
        self.objects.clear()
        self._answer(200, b"<DeleteResult/>")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _BreaksOff(_Primitive):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@contextmanager
def answering(handler: type[_Primitive]) -> Iterator[str]:
    own = type("Own", (handler,), {"objects": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), own) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()
            thread.join()


def test_a_server_that_says_it_knows_no_conditions_still_counts(make: MakeCache) -> None:
    with answering(_Primitive) as url:
        cache = make(s3_bucket_name="b", s3_endpoint_url=url, **keys_of(OWNER), held_bytes=0)
        assert [cache.increment_cache("n") for _ in range(3)] == [1, 2, 3]
        asyncio.run(cache.disconnect())


def test_there_what_is_over_is_deleted_without_one(make: MakeCache) -> None:
    now = [1_700_000_000.0]
    with answering(_Primitive) as url:
        cache = make(
            s3_bucket_name="b", s3_endpoint_url=url, **keys_of(OWNER), clock=lambda: now[0]
        )
        cache.set_cache("k", 1, ttl=10)
        now[0] += 10
        assert cache.get_cache("k") is None
        now[0] -= 10
        assert cache.get_cache("k") is None
        asyncio.run(cache.disconnect())


def test_an_answer_that_breaks_off_is_a_failure(make: MakeCache) -> None:
    with answering(_BreaksOff) as url:
        cache = make(s3_bucket_name="b", s3_endpoint_url=url, **keys_of(OWNER))
        with pytest.raises(BackendError, match="the answer broke off"):
            cache.get_cache("k")
        asyncio.run(cache.disconnect())
