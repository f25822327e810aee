"""Programs that share a directory with a test: ``python -m support.disk_workers NAME DIRECTORY …``.

What they store can be checked by whoever finds it: a body follows from its key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache.core

from askonce import Cache, CacheMiddleware, CacheSettings
from askonce.caching import _disk_format
from askonce.caching.disk_cache import DiskCache
from askonce.entry import Entry
from askonce.errors import BackendTimeoutError
from support.asgi import Dictated, call, chat_body, completion

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parents[1]
SIZES = (10, 3_000, 200_000)


def entry(key: str, number: int) -> Entry:
    """Return the entry that is stored under a key; its ``stored_at`` says which one it is."""
    block = sha256(f"{key} {number}".encode()).digest()
    body = (block * 7_000)[: SIZES[number % len(SIZES)]]
    return Entry(key, float(number), 60.0, 200, (), body, "plain", usage_due=False)


def whole(found: Entry) -> bool:
    """Say whether an entry is one that was stored under its key."""
    return found == entry(found.key, int(found.stored_at))


def started(*arguments: object) -> subprocess.Popen[str]:
    """Start one of these programs; it reads and writes text."""
    command = [sys.executable, "-m", "support.disk_workers", *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
    )


def write_on(directory: str) -> None:
    """Store one entry after another under ten keys, for ever, and say so after each."""
    cache = DiskCache(directory, size_limit=4_000_000)
    number = int(sys.stdin.readline())
    while True:
        cache.set_entry(entry(f"ns:{number % 10}", number), 3_600)
        cache.increment_cache("written")
        print(number, flush=True)
        number += 1


def share(directory: str, name: str, count: str) -> None:
    """Store, read and count beside another process, and fail if what is read is not whole."""
    cache = DiskCache(directory)
    sys.stdin.readline()
    for number in range(int(count)):
        _patiently(lambda: cache.increment_cache("n"))
        _patiently(lambda number=number: cache.set_cache(f"{name}:{number}", number))
        key = f"shared:{number % 5}"
        _patiently(lambda key=key, number=number: cache.set_entry(entry(key, number), 3_600))
        for other in range(5):
            found = cache.get_entry(f"shared:{other}")
            assert found is None or whole(found), other
    assert cache.undecodable == 0
    asyncio.run(cache.disconnect())


def serve(directory: str, trouble: str) -> None:
    """Ask two questions, get into trouble, ask four more; say as JSON what was heard and logged."""
    asyncio.run(_serve(directory, trouble))


async def _serve(directory: str, trouble: str) -> None:
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("askonce").addHandler(handler)
    app = Dictated(body=(completion("a long answer " * 20_000),))
    settings = CacheSettings(type="disk", disk_cache_dir=directory, backend_timeout=30)
    cache = Cache(settings=settings)
    cached = CacheMiddleware(app, cache=cache)
    if trouble == "unwritable":
        _lose_rights(directory)
    heard = [await _ask(cached, question) for question in (1, 1)]
    await cache.drain()
    if trouble == "full":
        fill_up(directory)
    heard += [await _ask(cached, question) for question in (2, 2, 1, 3)]
    await cache.drain()
    test = await cache.backend.test_connection()
    print(json.dumps({"heard": heard, "logged": logged, "test": test}))


async def _ask(cached: CacheMiddleware, question: int) -> tuple[int, str]:
    answered = await call(cached, chat_body(seed=question))
    return answered.status, answered.cache_status


def fill_up(directory: str | Path) -> None:
    """Leave no room: on a small file system by filling it, else by a limit on file sizes."""
    free = os.statvfs(directory)
    if free.f_bfree * free.f_bsize < 64 * 1024 * 1024:
        with contextlib.suppress(OSError), Path(directory, "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(4096))
                ballast.flush()
    else:
        log = Path(directory, "cache.db-wal").stat().st_size
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (log, hard))


def _lose_rights(directory: str) -> None:
    """Be somebody who may not write there; who is root may write anywhere, so be nobody."""
    Path(directory).chmod(0o555)
    if os.geteuid() == 0:
        os.setuid(65534)


def _patiently(doing: Callable[[], object]) -> None:
    """Try again where a busy machine kept the other process from letting go in time."""
    for _ in range(20):
        with contextlib.suppress(BackendTimeoutError):
            doing()
            return
    raise AssertionError("the database was locked all the time")


def die_everywhere(directory: str) -> None:
    """Be killed at each statement in turn that opening, writing and culling execute.

    Prints how many places there were. A directory must work after each.
    """
    for place in range(10_000):
        path = f"{directory}/{place}"
        died = _in_a_child(lambda path=path, place=place: _die_at(place, path))
        assert _in_a_child(lambda path=path: _use(path)) == 0, place
        if died == 0:
            print(place)
            return


def _die_at(place: int, path: str) -> None:
    left = place

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            self.set_trace_callback(count)

    def connect(*arguments: Any, **keywords: Any) -> sqlite3.Connection:
        return Connection(*arguments, **keywords)

    class Traced:
        def __getattr__(self, name: str) -> Any:
            return connect if name == "connect" else getattr(sqlite3, name)

    for module in (diskcache.core, _disk_format):
        module.sqlite3 = Traced()  # type: ignore[attr-defined]
    cache = DiskCache(path, size_limit=300_000)
    for number in range(6):
        cache.set_entry(entry(f"ns:{number}", number + 2), 3_600)
    cache.increment_cache("n")
    cache.delete_cache("ns:5")


def _use(path: str) -> None:
    cache = DiskCache(path, size_limit=300_000)
    for number in range(6):
        found = cache.get_entry(f"ns:{number}")
        assert found is None or whole(found)
    assert cache.get_cache("n") in {None, 1}
    assert cache.undecodable == 0
    cache.set_entry(entry("ns:1", 1), 3_600)
    assert cache.get_entry("ns:1") == entry("ns:1", 1)


def _in_a_child(doing: Callable[[], None]) -> int:
    """Run something in a child process. Returns its exit code; negative: the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            doing()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    {"write_on": write_on, "share": share, "die_everywhere": die_everywhere, "serve": serve}[
        sys.argv[1]
    ](*sys.argv[2:])
