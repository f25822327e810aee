"""What a cache on Redis has on one event loop: a client, and what is under way on it.

- *Reads of one tick travel together.* The first one has them leave when the event loop has gone
  round: by then everyone else who reads in this tick has joined it. A key that is asked for twice
  travels once. They go by the line (:mod:`askonce.caching._redis_line`) if it is free, else by the
  client.
- *A caller who goes away takes nothing along.* Nothing runs in the caller's task, and everything
  has its own time limit, so that a cancelled request breaks no connection, nor anybody's read.
- *What was opened is closed when the event loop ends*, without anyone asking for it: event loops
  finish their asynchronous generators first (``loop.shutdown_asyncgens``), and the client is held
  open by one. The same happens when the cache is garbage.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence

    from askonce.caching._redis_line import Answer, Line

    Fetch: TypeAlias = Callable[[Any, Sequence[str]], Awaitable[Sequence[bytes | None]]]

T = TypeVar("T")

MAX_BATCH: Final = 128
"""How many keys are read at once: one large answer holds up no more than these."""


class Batch:
    """Keys that are read together, and who waits for them.

    Args:
        fetch: Reads many keys by means of the client, within a time limit.
    """

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.found: dict[str, bytes | None] = {}
        self.waiters: list[asyncio.Future[None]] = []

    def settle(self, values: Sequence[bytes | None]) -> None:
        """Say what was found under the keys, in their order."""
        self.found = dict(zip(self.found, values, strict=True))
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """Say that they could not be read."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class LoopClient:
    """A client of this event loop.

    Args:
        client: redis-py's asynchronous client.
        close: Closes what is to be closed in the end.
        line: Opens a line by means of the client; it returns None if there is to be none.
        late: Returns the error of a read that was not answered in time.
    """

    def __init__(
        self,
        client: Any,
        close: Callable[[], Awaitable[None]],
        line: Callable[[Any], Awaitable[Line | None]],
        late: Callable[[], Exception],
    ) -> None:
        self.client = client
        self._loop = asyncio.get_running_loop()
        self._open_line = line
        self._late = late
        self._line: Line | None = None
        self._lining = False
        self._batch: Batch | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._open = _open_until_the_end(close)
        with contextlib.suppress(StopIteration):
            self._open.__anext__().send(None)  # begun, it is the event loop's to finish

    async def read(self, keys: Sequence[str], fetch: Fetch) -> list[bytes | None]:
        """Return what is kept under each key, together with whoever else reads in this tick.

        Args:
            keys: What to read.
            fetch: Reads many keys by means of the client, within a time limit.
        """
        for key in keys:
            key.encode()  # what is no text is its caller's error, not that of all in the batch
        batch = self._batch
        if batch is None or len(batch.found) >= MAX_BATCH:
            batch = self._batch = Batch(fetch)
            self._loop.call_soon(self._depart, batch)
        for key in keys:
            batch.found[key] = None
        waiter = self._loop.create_future()
        batch.waiters.append(waiter)
        await waiter
        return [batch.found[key] for key in keys]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that goes on if the caller is cancelled."""
        return await asyncio.shield(self._begun(work))

    async def close(self) -> None:
        """Close the client behind what is under way; from any event loop."""
        if self._loop is asyncio.get_running_loop():
            await self._closed()
        elif self._loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(self._closed(), self._loop)
            await asyncio.wrap_future(closing)

    async def _closed(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._open.aclose()

    def _depart(self, batch: Batch) -> None:
        if self._batch is batch:
            self._batch = None
        if self._line is not None and self._line.is_free:
            self._line.ask(batch.found, partial(self._answered, batch))
        else:
            self._begun(self._fill(batch))

    def _answered(self, batch: Batch, answer: Answer) -> None:
        """Take what the line said."""
        if isinstance(answer, list):
            batch.settle(answer)
        elif answer is None:
            self._begun(self._fill(batch))
        else:
            batch.fail(self._late())

    async def _fill(self, batch: Batch) -> None:
        """Ask the client, and see to a line for the next ones."""
        try:
            batch.settle(await batch.fetch(self.client, list(batch.found)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is those who wait that get it
            batch.fail(error)
            return
        if not self._lining and (self._line is None or self._line.is_over):
            await self._new_line()

    async def _new_line(self) -> None:
        self._lining = True
        try:
            ended, self._line = self._line, None
            if ended is not None:
                await ended.give_back()
            self._line = await self._open_line(self.client)
        finally:
            self._lining = False

    def _begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        """Take note of an end that perhaps nobody waits for any more."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()


async def _open_until_the_end(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await close()
