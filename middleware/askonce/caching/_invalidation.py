"""How memory hears of what others change in Redis: the server tells (client tracking).

Three ways were open. *Publishing* by whoever deletes reaches only those who know of it: a delete
by a command line, by a cache without memory, by an expiry or an eviction is heard of by nobody.
*Keyspace notifications* tell everything, but the server must be set up for them, and managed ones
rarely are. *Client tracking* in broadcasting mode tells everything as well, whoever did it, for the
prefixes asked for, keeps no table on the server, and has been in every server since Redis 6. It
needs RESP3; where a server or a proxy has it not, memory stays silent and Redis answers everything,
which is slower and never wrong.

A connection that broke has lost messages. So every connection has a pulse: PING, four times a
second, on the connection that the messages come on. Its answer proves that all changes from before
the PING have been heard of, and memory may answer until :data:`LEASE` after the PING was *sent*.
Whatever breaks (a socket, this thread, the network in silence), no change goes unseen for a second.
When the connection is made again memory forgets what it had: see :meth:`MemoryTier.cover`.

All this happens in a thread of its own, so that it needs no event loop and serves all of them.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEAT: Final = 0.25
"""Seconds from one pulse to the next."""
LEASE: Final = 0.75
"""Seconds for which a pulse lets memory answer; a connection that has none for so long is dead."""

_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_MOST_AT_ONCE: Final = 1000
_LASTING: Final = ("PONG", "cluster_state", "cluster_size", "cluster_current_epoch")


class Hearing(Protocol):
    """Who is told."""

    def cover(self) -> None:
        """From now on every change is heard of."""
        ...

    def uncover(self) -> None:
        """Changes are not heard of any more."""
        ...

    def renew(self, pulse: float) -> None:
        """All changes from before a monotonic time were heard of."""
        ...

    def changed(self, keys: Sequence[str] | None) -> None:
        """These keys were changed; None: any may have been."""
        ...


class Listener:
    """Listens to a server, or to the primaries of a cluster, while it is wanted.

    Args:
        connect: Opens connections of the listener's own, speaking RESP3, one for each primary, and
            says what to send as a pulse. If a lasting part of its answer changes, so have the
            primaries.
        prefixes: What the keys of interest begin with; none: all keys.
        hearing: Who is told.
        settle: Called before changes are heard of again: puts right what could not be done
            meanwhile. If it raises, the connection counts as broken.
        between: Called a few times a second, while changes are heard of.
        failed: Told why changes are not heard of, or no more.
    """

    def __init__(  # noqa: PLR0913 - what it asks of the world
        self,
        *,
        connect: Callable[[], Sequence[tuple[Any, tuple[str, ...]]]],
        prefixes: Sequence[str],
        hearing: Hearing,
        settle: Callable[[], None],
        between: Callable[[], None],
        failed: Callable[[Exception], object],
    ) -> None:
        self._connect = connect
        self._prefixes = prefixes
        self._hearing = hearing
        self._settle = settle
        self._between = between
        self._failed = failed
        self._lock = threading.Lock()
        self._run: _Run | None = None

    def start(self) -> Future[None]:
        """Listen, if nobody does yet.

        Returns:
            What is done once the first attempt to listen has ended, well or not.
        """
        run = self._run
        if run is None or not run.is_alive:
            run = self._begin()
        return run.settled

    def stop(self) -> None:
        """Listen no more; the next ``start`` begins anew. Does not wait."""
        with self._lock:
            run, self._run = self._run, None
        if run is not None:
            run.stop()
            self._hearing.uncover()

    def _begin(self) -> _Run:
        with self._lock:
            if self._run is None or not self._run.is_alive:
                self._run = _Run(self)
                self._run.thread.start()
            return self._run

    # ---- in the thread

    def listen(self, run: _Run) -> None:
        """Listen until the run is stopped, through whatever breaks."""
        wait = _FIRST_WAIT
        while not run.stopped.is_set():
            try:
                self._session(run)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                if not run.stopped.is_set():
                    self._failed(error)
            wait = _FIRST_WAIT if run.was_covered else min(2 * wait, _LONGEST_WAIT)
            self._ended(run)
            run.stopped.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, hides nothing

    def _session(self, run: _Run) -> None:
        for connection, pulse in self._connect():
            run.hold(_Line(connection, pulse))
        for line in run.lines:
            line.track(self._prefixes)
        self._settle()
        if self._tell(run, self._hearing.cover):
            run.was_covered = True
        while not run.stopped.is_set():
            self._turn(run)

    def _turn(self, run: _Run) -> None:
        """Hear what there is to hear, for one beat at most, and feel the pulse."""
        for line in run.lines:
            line.beat()
            heard = line.hear(BEAT / len(run.lines))
            for keys in heard:
                self._hearing.changed(keys)
        pulse = min(line.pulse_felt for line in run.lines)
        if self._tell(run, lambda: self._hearing.renew(pulse)) and pulse > 0:
            run.settle()
        self._between()

    def _tell(self, run: _Run, told: Callable[[], None]) -> bool:
        """Tell something, unless another run has taken over."""
        with self._lock:
            if self._run is not run:
                return False
            told()
            return True

    def _ended(self, run: _Run) -> None:
        run.let_go()
        self._tell(run, self._hearing.uncover)
        run.was_covered = False
        run.settle()


class _Run:
    """One thread's life, from a start to a stop."""

    def __init__(self, listener: Listener) -> None:
        self.settled: Future[None] = Future()
        self.stopped = threading.Event()
        self.was_covered = False
        self.lines: list[_Line] = []
        self._pid = os.getpid()
        self.thread = threading.Thread(
            target=listener.listen, args=(self,), name="askonce-invalidation", daemon=True
        )

    @property
    def is_alive(self) -> bool:
        """False in a forked child: it has this object, but not the thread."""
        return self._pid == os.getpid() and not self.stopped.is_set()

    def hold(self, line: _Line) -> None:
        """Take a line that ``stop`` shall cut."""
        self.lines.append(line)

    def let_go(self) -> None:
        """Close all lines."""
        lines, self.lines = self.lines, []
        for line in lines:
            line.close()

    def settle(self) -> None:
        """Let those go on who wait for the first attempt."""
        if not self.settled.done():
            self.settled.set_result(None)

    def stop(self) -> None:
        """End the thread soon; a blocking read of it ends at once."""
        self.stopped.set()
        self.settle()
        for line in self.lines:
            line.close()


class _Line:
    """A connection that is being tracked."""

    def __init__(self, connection: Any, pulse: tuple[str, ...]) -> None:
        self._connection = connection
        self._pulse = pulse
        self._answer: list[str] | None = None
        self._heard: list[list[str] | None] = []
        self._sent: float | None = None
        self.pulse_felt = -float("inf")

    def track(self, prefixes: Sequence[str]) -> None:
        """Ask the server for all changes of keys that begin with one of ``prefixes``."""
        # redis-py has no public way to a connection's pushes.
        self._connection._parser.set_invalidation_push_handler(self._note)  # noqa: SLF001
        named = [word for prefix in prefixes for word in ("PREFIX", prefix)]
        self._connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *named)
        self._connection.read_response()

    def beat(self) -> None:
        """Send a pulse, if it is time for one.

        Raises:
            TimeoutError: The last one was not answered.
        """
        now = time.monotonic()
        if self._sent is None and now > self.pulse_felt + BEAT:
            self._sent = now
            self._connection.send_command(*self._pulse, check_health=False)
        elif self._sent is not None and now > self._sent + LEASE:
            raise TimeoutError("no pulse")

    def hear(self, seconds: float) -> list[list[str] | None]:
        """Return the changes that were told, waiting for some for so many seconds at most."""
        for _ in range(_MOST_AT_ONCE):
            if not self._connection.can_read(seconds):
                break
            answer = self._connection.read_response(push_request=True)
            if answer is not None:
                self._felt(_lasting(answer))
            seconds = 0.0
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Close the connection; from any thread."""
        self._connection.disconnect()

    def _felt(self, answer: list[str]) -> None:
        if self._answer not in (None, answer):
            raise ConnectionError("the cluster's primaries are others now")
        assert self._sent is not None
        self.pulse_felt, self._sent, self._answer = self._sent, None, answer

    def _note(self, message: Any) -> None:
        keys = message[1]
        self._heard.append(None if keys is None else [_text(key) for key in keys])


def _lasting(answer: bytes | str) -> list[str]:
    """Return the part of a pulse's answer that must stay as it is."""
    return [line for line in _text(answer).splitlines() if line.startswith(_LASTING)]


def _text(key: bytes | str) -> str:
    """Keys of ours are text; of others' nothing is kept."""
    return key if isinstance(key, str) else key.decode(errors="replace")
