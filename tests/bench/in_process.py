"""CPU time of a hit, a miss and a bare app, in-process, side by side in one run.

Run it with ``python -m tests.bench``. Every call gets fresh bytes objects, as from a server: their
hash is computed anew. The figures are the best of several rounds that alternate between the apps.
A miss is compared with the bare app on the very bodies that were missed: what is read for the first
time is not in the processor's cache.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.bench.apps import bare, cached, discard, question, scope, starlette_route

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp, Message

CALLS: Final = 2_000
ROUNDS: Final = 15


def _finished(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("it waited: what is measured is not the app alone")


def _call(app: ASGIApp, body: bytes) -> None:
    fresh = bytes(bytearray(body))

    async def receive() -> Message:
        return {"type": "http.request", "body": fresh, "more_body": False}

    asgi_scope = scope(body)
    asgi_scope["headers"] = [
        (bytes(bytearray(name)), bytes(bytearray(value))) for name, value in asgi_scope["headers"]
    ]
    _finished(app(asgi_scope, receive, discard))  # type: ignore[arg-type]


def _nothing(body: bytes) -> None:
    """The harness itself, to be subtracted."""
    _call(_empty, body)


async def _empty(scope: object, receive: object, send: object) -> None:
    pass


def _micros(measured: Callable[[bytes], None], bodies: list[bytes]) -> float:
    started = time.process_time_ns()
    for body in bodies:
        measured(body)
    return (time.process_time_ns() - started) / len(bodies) / 1000


def measure() -> dict[str, float]:
    """Return microseconds of CPU per request, the harness subtracted."""
    same = [question()] * CALLS
    warm = cached()
    _call(warm, same[0])
    best: dict[str, float] = {}
    number = 0
    for _ in range(ROUNDS):
        number += CALLS
        fresh = [question(number + n) for n in range(CALLS)]
        runs: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
            "harness": (_nothing, same),
            "bare app": (partial(_call, bare), same),
            "Starlette route": (partial(_call, starlette_route), same),
            "hit": (partial(_call, warm), same),
            "bare app, new bodies": (partial(_call, bare), fresh),
            "miss": (partial(_call, cached()), fresh),
        }
        for name, (measured, bodies) in runs.items():
            best[name] = min(best.get(name, 1e9), _micros(measured, bodies))
    harness = best.pop("harness")
    return {name: micros - harness for name, micros in best.items()}
