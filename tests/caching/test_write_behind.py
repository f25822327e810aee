"""Entries on their way: found by everyone, written once, in order, whoever goes away."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from askonce.caching._write_behind import WriteBehind

if TYPE_CHECKING:
    from askonce.entry import Entry


class Disk:
    """Writes when it is told to, and remembers what it wrote."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.written: list[Entry] = []
        self.result = True

    async def write(self, entry: Entry, _retention: float) -> bool:
        await self.go_on.wait()
        self.written.append(entry)
        return self.result


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def writes(disk: Disk) -> WriteBehind:
    return WriteBehind(disk.write)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_entry_is_found_from_the_beginning_to_the_end_of_its_write(
    disk: Disk, writes: WriteBehind, entry: Entry
) -> None:
    assert writes.find(entry.key) is None
    task = asyncio.create_task(writes.finish(entry, 60))
    await settle()
    assert writes.find(entry.key) is entry
    disk.go_on.set()
    assert await task is True
    assert writes.find(entry.key) is None


async def test_what_was_begun_is_found_at_once(writes: WriteBehind, disk, entry: Entry) -> None:
    writes.begin(entry, 60)
    assert writes.find(entry.key) is entry
    disk.go_on.set()
    await writes.drain()


@pytest.mark.parametrize("result", [True, False])
@pytest.mark.parametrize("ended_before", [True, False])
async def test_what_was_begun_is_not_written_again(
    disk: Disk, writes: WriteBehind, entry: Entry, *, result: bool, ended_before: bool
) -> None:
    disk.result = result
    writes.begin(entry, 60)
    disk.go_on.set()
    if ended_before:
        await writes.drain()
        await settle()
    assert await writes.finish(entry, 60) is result
    assert disk.written == [entry]
    assert writes._ended == {}


async def test_another_entry_of_the_same_key_is_written_too_and_later(
    disk: Disk, writes: WriteBehind, entry: Entry
) -> None:
    newer = replace(entry, stored_at=entry.stored_at + 1)
    first = asyncio.create_task(writes.finish(entry, 60))
    await settle()
    second = asyncio.create_task(writes.finish(newer, 60))
    await settle()
    assert writes.find(entry.key) is newer
    disk.go_on.set()
    assert await first is await second is True
    assert disk.written == [entry, newer]
    assert writes.find(entry.key) is None


async def test_a_second_writer_waits_for_the_first(writes: WriteBehind, disk, entry) -> None:
    """Even where the first one's write takes longer."""
    order: list[float] = []
    first_goes_on = asyncio.Event()

    async def write(one: Entry, _retention: float) -> bool:
        if one.stored_at == entry.stored_at:
            await first_goes_on.wait()
        order.append(one.stored_at)
        return True

    both = WriteBehind(write)
    both.begin(entry, 60)
    both.begin(replace(entry, stored_at=2_000.0), 60)
    await settle()
    assert order == []
    first_goes_on.set()
    await both.drain()
    assert order == [entry.stored_at, 2_000.0]


async def test_a_write_goes_on_when_who_asked_for_it_is_gone(
    disk: Disk, writes: WriteBehind, entry: Entry
) -> None:
    task = asyncio.create_task(writes.finish(entry, 60))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    disk.go_on.set()
    await writes.drain()
    assert disk.written == [entry]


async def test_draining_waits_for_everything(disk: Disk, writes: WriteBehind, entry: Entry) -> None:
    for number in range(3):
        writes.begin(replace(entry, key=f"askonce:{number}"), 60)
    draining = asyncio.create_task(writes.drain())
    await settle()
    assert not draining.done()
    disk.go_on.set()
    await draining
    assert len(disk.written) == 3


async def test_draining_nothing_is_done_at_once(writes: WriteBehind) -> None:
    await asyncio.wait_for(writes.drain(), 1)


async def test_outcomes_that_nobody_asks_for_do_not_pile_up(
    disk: Disk, writes: WriteBehind, entry: Entry
) -> None:
    disk.go_on.set()
    for number in range(1_000):
        writes.begin(replace(entry, key=f"askonce:{number}"), 60)
        await writes.drain()
    assert len(writes._ended) <= 256
    assert len(writes._underway) == len(writes._tasks) == 0


async def test_a_write_of_another_event_loop_is_not_waited_for(disk: Disk, entry: Entry) -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[float] = []

    async def write(one: Entry, _retention: float) -> bool:
        if one is entry:
            begun.set()
            await asyncio.to_thread(go_on.wait)
        order.append(one.stored_at)
        return True

    writes = WriteBehind(write)
    other = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(writes.finish(entry, 60))))
    await asyncio.to_thread(begun.wait)
    async with asyncio.timeout(10):
        await writes.drain()  # nothing of this loop's
        assert await writes.finish(replace(entry, stored_at=2_000.0), 60)
    go_on.set()
    assert await other is True
    assert order == [2_000.0, entry.stored_at]


def test_a_write_that_died_with_its_event_loop_holds_nobody_up(disk: Disk, entry: Entry) -> None:
    writes = WriteBehind(disk.write)

    async def begin() -> None:
        writes.begin(entry, 60)
        await settle()

    async def again() -> bool:
        disk.go_on = asyncio.Event()
        disk.go_on.set()
        await writes.drain()
        return await writes.finish(replace(entry, stored_at=2_000.0), 60)

    asyncio.run(begin())  # cancels what is left over
    assert writes.find(entry.key) is None
    assert asyncio.run(again()) is True
