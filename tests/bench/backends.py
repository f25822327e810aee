"""Hits and writes on a real server, as ratios to what is the least that they could cost.

One valkey-server on loopback, one process, one event loop; calls in-process, many at once. A hit
through the middleware stands beside a bare ``redis.asyncio`` GET of the same bytes, a hit of the
dual cache beside one of memory alone, many writes at once beside the same ones by themselves. What
is compared takes turns within one run; the best round of each counts. Whatever is not a hit fails
the run.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
import redis.asyncio

from askonce import Cache, CacheMiddleware, CacheSettings
from askonce.caching.redis_cache import RedisCache
from tests.bench.apps import bare, discard, question, scope
from tests.support import valkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message

    from tests.support.valkey import Server

AT_ONCE: Final = (1, 32, 256)
WRITES: Final = 1_000
_QUESTIONS: Final = 64
_CALLS: Final = {1: 2_000, 32: 8_000, 256: 16_384}
_ROUNDS: Final = 7
_NAMESPACE: Final = "bench"
_SLACK_SECONDS: Final = 10.0
"""A hiccup of the machine must not turn a hit into a miss while it is measured."""


class _Client:
    """Asks an app one question after the other that it knows already."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._app = CacheMiddleware(bare, cache=cache)
        self._bodies = [question(number) for number in range(_QUESTIONS)]
        self._scopes = [scope(body) for body in self._bodies]
        self._next = itertools.cycle(range(_QUESTIONS))

    async def ask(self) -> None:
        number = next(self._next)
        body = bytes(bytearray(self._bodies[number]))

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        asked = dict(self._scopes[number])
        asked["headers"] = list(asked["headers"])
        await self._app(asked, receive, discard)  # type: ignore[arg-type]

    async def warm_up(self) -> None:
        """Ask everything once, so that it is stored, and once more, so that it is at hand."""
        for _ in range(2):
            for _ in range(_QUESTIONS):
                await self.ask()
            await self.cache.drain()

    async def rate(self, at_once: int) -> float:
        """Return hits per second."""
        before = self.cache.stats().hits
        found = await _rate(self.ask, at_once)
        if self.cache.stats().hits - before != _CALLS[at_once]:
            raise RuntimeError("not everything was a hit")
        return found


async def _rate(doing: Callable[[], Awaitable[object]], at_once: int) -> float:
    """Return calls per second of so many tasks that call one after the other."""

    async def work() -> None:
        for _ in range(_CALLS[at_once] // at_once):
            await doing()

    started = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(at_once)])
    return _CALLS[at_once] / (time.perf_counter() - started)


def _cache(kind: str, server: Server) -> Cache:
    place: dict[str, Any] = {} if kind == "local" else {"host": valkey.HOST, "port": server.port}
    settings = CacheSettings(
        type=kind, namespace=_NAMESPACE, backend_timeout=_SLACK_SECONDS, **place
    )
    return Cache(settings=settings)


async def hits(server: Server) -> dict[int, dict[str, float]]:
    """Return the best rate of each by how many were at once."""
    # A connection for each: its own pool ends at 100.
    client = redis.asyncio.Redis(host=valkey.HOST, port=server.port, max_connections=AT_ONCE[-1])
    over = {kind: _Client(_cache(kind, server)) for kind in ("redis", "dual", "local")}
    for asking in over.values():
        await asking.warm_up()
    keys = itertools.cycle([key async for key in client.scan_iter(f"{_NAMESPACE}:*")])

    async def get() -> None:
        if await client.get(next(keys)) is None:
            raise RuntimeError("a key is gone")

    best: dict[int, dict[str, float]] = {at_once: {} for at_once in AT_ONCE}
    for _, at_once in itertools.product(range(_ROUNDS), AT_ONCE):
        rates = {"bare GET": await _rate(get, at_once)}
        for kind, asking in over.items():
            rates[kind] = await asking.rate(at_once)
        for name, rate in rates.items():
            best[at_once][name] = max(rate, best[at_once].get(name, 0.0))
    await client.aclose()
    for asking in over.values():
        await asking.cache.disconnect()
    return best


async def writes(server: Server) -> dict[str, float]:
    """Return the least seconds for the same writes, one after the other and all at once."""
    backend = RedisCache(valkey.HOST, server.port, socket_timeout=_SLACK_SECONDS)
    pairs = [(f"value {number}", {"answer": "x" * 500}) for number in range(WRITES)]
    best: dict[str, float] = {"single": 1e9, "pipelined": 1e9}
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for key, value in pairs:
            await backend.async_set_cache(key, value, ttl=600)
        between = time.perf_counter()
        await backend.async_set_cache_pipeline(pairs, ttl=600)
        best["single"] = min(best["single"], between - started)
        best["pipelined"] = min(best["pipelined"], time.perf_counter() - between)
    await backend.disconnect()
    return best


def report() -> None:
    """Measure, and print two tables in Markdown."""
    try:
        valkey.binary()
    except pytest.skip.Exception as reason:
        print(f"Not measured: {reason}.")
        return
    with valkey.server() as server:
        best = asyncio.run(hits(server))
        took = asyncio.run(writes(server))
    print("| at once | bare GET/s | hit on Redis ÷ bare GET | hit on dual ÷ hit in memory |")
    print("|---|---|---|---|")
    for at_once, rates in best.items():
        ratios = rates["redis"] / rates["bare GET"], rates["dual"] / rates["local"]
        print(f"| {at_once} | {rates['bare GET']:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    ratio = took["single"] / took["pipelined"]
    print(f"\n{WRITES:,} writes in a pipeline are {ratio:.1f} times as fast as one by one.")
