"""What only Redis can do, beside the surface of every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from askonce.caching import _redis_commands as say
from askonce.caching._redis_store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from askonce.caching._redis_commands import Command
    from askonce.codec import JSON, Number

Raw: TypeAlias = str | bytes | int | float
"""What lists and sets hold, as it is."""


class Increment(TypedDict):
    """What ``async_increment_pipeline`` is to do.

    ``ttl``: seconds to keep a counter that begins with it, ``default_ttl`` if None.
    """

    key: str
    increment_value: Number
    ttl: float | None


class RedisValues(RedisStore):
    """Conditional writes, buffered ones, counters, sets, lists, times, and a look at the server."""

    def set_cache(self, key: str, value: JSON, **kwargs: Any) -> Any:
        """Keep a JSON value.

        Args:
            key: Any name.
            value: Any JSON value; None deletes what is there.
            **kwargs: ``ttl`` as for every backend; ``nx``: True leaves alone what is there.

        Returns:
            False if ``nx`` was given and there is something, else True.

        Raises:
            BackendError: The server failed.
        """
        if not kwargs.pop("nx", False):
            super().set_cache(key, value, **kwargs)
            return True
        self._settle([self._name(key)])
        # Not sent twice: after the second time nobody knew who had been first.
        return all(self._sent(self._set_if_absent(key, value, kwargs), repeat=False))

    async def async_set_cache(self, key: str, value: JSON, **kwargs: Any) -> Any:
        """Keep a JSON value; see :meth:`set_cache`."""
        if not kwargs.pop("nx", False):
            await super().async_set_cache(key, value, **kwargs)
            return True
        await self._asettle([self._name(key)])
        return all(await self._asent(self._set_if_absent(key, value, kwargs), repeat=False))

    def _set_if_absent(self, key: str, value: JSON, kwargs: dict[str, Any]) -> list[Command]:
        item = self._named(self._item(key, value, self.get_ttl(**kwargs)))
        gone = item[2] is not None and item[2] <= 0
        return [] if gone else [say.set_command(item, nx=True)]

    async def async_set_cache_pipeline(
        self,
        cache_list: Iterable[tuple[str, JSON] | tuple[str, JSON, float | None]],
        ttl: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep many JSON values at once.

        Args:
            cache_list: Pairs of key and value, or triples with a ttl in seconds of their own.
            ttl: Seconds to keep those without; None: ``default_ttl``.
            **kwargs: As for :meth:`set_cache`.
        """
        kwargs["ttl"] = ttl
        await self._akeep(
            [
                self._item(key, value, self.get_ttl(ttl=own[0]) if own else self.get_ttl(**kwargs))
                for key, value, *own in cache_list
            ]
        )

    async def batch_cache_write(self, key: str, value: JSON, **kwargs: Any) -> None:
        """Keep a JSON value, together with the next ones.

        It is found by this cache at once, and sent when ``redis_flush_size`` of them wait, before
        another write or deletion of its key, or by ``disconnect``. Its time begins now.

        At most 20 times ``redis_flush_size`` writes wait (or 1000, if that is more), and 64 MiB.
        Of more the oldest are lost, which is logged once a minute at most.

        Args:
            key: Any name.
            value: Any JSON value; None deletes what is there.
            **kwargs: As for :meth:`set_cache`.

        Raises:
            BackendError: A batch was sent, and the server failed; what did not arrive waits on.
        """
        item = self._named(self._item(key, value, self.get_ttl(**kwargs)))
        if self.redis_flush_size is None or (item[2] is not None and item[2] <= 0):
            await self.async_set_cache(key, value, **kwargs)
        elif self._buffer.put(item):
            await self.flush_cache_buffer()

    async def flush_cache_buffer(self) -> None:
        """Send the writes that wait.

        Raises:
            BackendError: The server failed; they wait on.
        """
        await self._asettle()

    # ---- counters

    def increment_cache(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        *,
        refresh_ttl: bool = False,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically.

        Args:
            key: The counter's name.
            value: What to add; an absent counter is 0.
            ttl: Seconds to keep a counter that begins with this call, ``default_ttl`` if None.
            refresh_ttl: Keep one that is there for so long from now on, too.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            The sum.

        Raises:
            BackendError: The server failed, or something else than a number is kept there.
        """
        return self._added([self._increment(key, value, ttl, refresh_ttl)])[0]

    async def async_increment(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        *,
        refresh_ttl: bool = False,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically; see :meth:`increment_cache`."""
        return (await self._aadded([self._increment(key, value, ttl, refresh_ttl)]))[0]

    async def async_increment_pipeline(
        self, increment_list: Sequence[Increment], **_unused: Any
    ) -> list[Number]:
        """Add to many counters, each atomically.

        Args:
            increment_list: What to add to which.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            The sums.
        """
        return await self._aadded(
            [
                self._increment(it["key"], it["increment_value"], it.get("ttl"), refresh=False)
                for it in increment_list
            ]
        )

    def _increment(self, key: str, value: Number, ttl: float | None, refresh: bool) -> Command:
        return say.add_command(self._name(key), value, self.get_ttl(ttl=ttl), refresh=refresh)

    # ---- sets and lists

    async def async_set_cache_sadd(
        self, key: str, value: Iterable[Raw], ttl: float | None = None, **_unused: Any
    ) -> None:
        """Add members to a set.

        Args:
            key: The set's name.
            value: Texts, bytes or numbers.
            ttl: Seconds to keep the set from now on, ``default_ttl`` if None.
            **_unused: Accepted for LiteLLM's callers, and not used.
        """
        name, members, seconds = self._name(key), tuple(value), self.get_ttl(ttl=ttl)
        await self._asettle([name])
        if members:
            await self._asent([("SADD", name, *members), *_expire(name, seconds)])

    async def async_rpush(self, key: str, values: Iterable[Raw], **_unused: Any) -> int:
        """Append to a list.

        Args:
            key: The list's name.
            values: Texts, bytes or numbers.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            How long it is then.
        """
        name, items = self._name(key), tuple(values)
        await self._asettle([name])
        command = ("RPUSH", name, *items) if items else ("LLEN", name)
        return int((await self._asent([command], repeat=False))[0])

    async def async_lpop(self, key: str, count: int | None = None, **_unused: Any) -> Any:
        """Take from the beginning of a list.

        Args:
            key: The list's name.
            count: How many to take at most; None: one.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            A text (bytes, if it is none), or a list of them if there is a ``count``; None if
            there is nothing.
        """
        await self._asettle([self._name(key)])
        times = 1 if count is None else count
        commands: list[Command] = [("LPOP", self._name(key))] * times  # its count is Redis 6.2's
        replies = await self._asent(commands, repeat=False)
        found = [_text(item) for item in replies if item is not None]
        if count is None or not found:
            return found[0] if found else None
        return found

    # ---- times and names

    async def async_get_ttl(self, key: str) -> float | None:
        """Return the seconds that a key has left; None if it has no limit, or is not there."""
        await self._asettle([self._name(key)])
        left = (await self._asent([("PTTL", self._name(key))]))[0]
        return left / 1000 if left >= 0 else None

    async def async_update_cache_ttl(self, key: str, ttl: float) -> bool:
        """Keep what is there for so many seconds from now on; 0 or less deletes it.

        Returns:
            False if there was nothing.
        """
        if ttl <= 0:
            return await self.async_delete_cache(key)
        await self._asettle([self._name(key)])
        return bool((await self._asent(_expire(self._name(key), ttl)))[0])

    async def async_scan_iter(self, pattern: str, count: int = 100) -> list[str]:
        """Find keys.

        Args:
            pattern: How they begin, as a glob: ``*``, ``?`` and ``[...]`` mean something, a ``*``
                follows. The cache's namespace goes before it as for every key.
            count: How many to find at most.

        Returns:
            Their names on the server, which this cache takes as keys too, in no order.
        """
        await self._asettle()
        space = self.namespace
        plain = space is None or pattern.startswith((f"{space}:", f"{space}/"))
        glob = pattern if plain else f"{say.escaped(f'{space}:')}{pattern}"
        found: dict[str, None] = {}
        async for page in self._apages(f"{glob}*"):
            found.update((_name(key), None) for key in page)
            if len(found) >= count:
                break
        return list(found)[:count]


def _expire(name: str, seconds: float | None) -> list[Command]:
    return [] if seconds is None else [("PEXPIRE", name, say.milliseconds(seconds))]


def _text(item: bytes) -> str | bytes:
    try:
        return item.decode()
    except UnicodeDecodeError:
        return item


def _name(key: bytes) -> str:
    return key.decode(errors="surrogateescape")
