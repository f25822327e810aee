"""The surface of every backend, written once over its primitives.

Two kinds of callers use a backend. The journey asks for :class:`~askonce.entry.Entry` by key
(:mod:`askonce.caching._entries`). Python callers keep JSON values under names of their own with
the methods that they know from LiteLLM (``get_cache``, ``set_cache``, ...). Every method has an
asynchronous twin.

- *None means absent.* Every other JSON value comes back as it went in. To set None is to delete.
- *Retention* is how long bytes are kept; a backend knows nothing of freshness, which is policy's.
  To keep something for 0 seconds or less is to delete it.
- *What cannot be read* (damaged, of another version, of another kind) is deleted, counted in
  ``undecodable``, and absent.
- A backend opens when it is first used; ``disconnect`` closes what it opened, and the next call
  opens it again.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from askonce.caching._entries import Entries
from askonce.codec import JSON, Number, decode_value, encode_value
from askonce.errors import BackendError, EntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from askonce.caching._primitives import Item

__all__ = ["BaseCache", "ConnectionTest"]


class ConnectionTest(TypedDict):
    """What ``test_connection`` found.

    ``message`` says in words what was done, or what is wrong and what to do about it.
    """

    status: Literal["success", "failed"]
    message: str


class BaseCache(Entries):
    """A backend.

    Args:
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
    """

    def __init__(self, default_ttl: float | None = None) -> None:
        super().__init__()
        self.default_ttl = default_ttl

    def get_ttl(self, **kwargs: Any) -> float | None:
        """Return the ``ttl`` among the keywords in seconds, else ``default_ttl``.

        Raises:
            ValueError: ``ttl`` is not a number of seconds.
        """
        ttl = kwargs.get("ttl")
        if ttl is None:
            return self.default_ttl
        seconds = float(ttl)
        if math.isnan(seconds):
            raise ValueError("ttl is not a number of seconds")
        return seconds

    def get_cache(self, key: str, **_unused: Any) -> JSON:
        """Return the JSON value kept under ``key``, or None.

        Args:
            key: The key, as it was given to ``set_cache``.
            **_unused: Accepted for LiteLLM's callers (spans and the like), and not used.

        Raises:
            BackendError: The backend failed.
        """
        return self.batch_get_cache([key])[0]

    async def async_get_cache(self, key: str, **_unused: Any) -> JSON:
        """Return the JSON value kept under ``key``, or None; see :meth:`get_cache`."""
        return (await self.async_batch_get_cache([key]))[0]

    def batch_get_cache(self, keys: Sequence[str], **_unused: Any) -> list[JSON]:
        """Return the JSON values kept under ``keys``, in their order, None for the absent."""
        values, unreadable = self._values(keys, self._call(self._read, keys))
        if unreadable:
            self._call(self._remove, unreadable)
        return values

    async def async_batch_get_cache(
        self,
        keys: Sequence[str],
        **_unused: Any,
    ) -> list[JSON]:
        """Return the JSON values kept under ``keys``; see :meth:`batch_get_cache`."""
        values, unreadable = self._values(keys, await self._aread(keys))
        if unreadable:
            await self._aremove(unreadable)
        return values

    def set_cache(self, key: str, value: JSON, **kwargs: Any) -> None:
        """Keep a JSON value.

        Args:
            key: Any name.
            value: Any JSON value; None deletes what is there.
            **kwargs: ``ttl``: seconds to keep it, ``default_ttl`` if it is not given; 0 or less
                deletes. Others are accepted for LiteLLM's callers, and not used.

        Raises:
            TypeError: JSON has no such value.
            ValueError: JSON has no such number or text.
            BackendError: The backend failed.
        """
        self._keep([self._item(key, value, self.get_ttl(**kwargs))])

    async def async_set_cache(self, key: str, value: JSON, **kwargs: Any) -> None:
        """Keep a JSON value; see :meth:`set_cache`."""
        await self._akeep([self._item(key, value, self.get_ttl(**kwargs))])

    async def async_set_cache_pipeline(
        self, cache_list: Iterable[tuple[str, JSON]], ttl: float | None = None, **kwargs: Any
    ) -> None:
        """Keep many JSON values at once.

        Args:
            cache_list: Pairs of key and value.
            ttl: Seconds to keep all of them; None: ``default_ttl``.
            **kwargs: As for :meth:`set_cache`.
        """
        seconds = self.get_ttl(**kwargs, ttl=ttl)
        await self._akeep([self._item(key, value, seconds) for key, value in cache_list])

    async def batch_cache_write(self, key: str, value: JSON, **kwargs: Any) -> None:
        """Keep a JSON value, at a time that suits the backend; see :meth:`set_cache`."""
        await self.async_set_cache(key, value, **kwargs)

    def increment_cache(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically.

        Args:
            key: The counter's name.
            value: What to add; an absent counter is 0.
            ttl: Seconds to keep a counter that begins with this call, ``default_ttl`` if None. One
                that is there keeps the time it has.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            The sum.

        Raises:
            BackendError: The backend failed, or something else than a number is kept there.
        """
        return self._call(self._add, key, value, self.get_ttl(ttl=ttl))

    async def async_increment(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically; see :meth:`increment_cache`."""
        return await self._aadd(key, value, self.get_ttl(ttl=ttl))

    # ---- deleting

    def delete_cache(self, key: str) -> bool:
        """Delete an entry or a value. Returns False if there was none."""
        return self._call(self._remove, (key,)) > 0

    async def async_delete_cache(self, key: str) -> bool:
        """Delete an entry or a value. Returns False if there was none."""
        return await self._aremove((key,)) > 0

    async def async_delete_many(self, keys: Sequence[str]) -> int:
        """Delete entries or values. Returns how many there were."""
        return await self._aremove(keys)

    def flush_cache(self, namespace: str | None = None) -> int:
        """Delete what is in a namespace and in its children, and nobody else's keys.

        Args:
            namespace: What stands before the colon of the keys, as it stands there (percent-
                encoded); its children are ``namespace/...``. None: all that this backend keeps.

        Returns:
            How many keys there were.
        """
        return self._call(self._clear, _prefixes(namespace))

    async def async_flush_cache(self, namespace: str | None = None) -> int:
        """Delete what is in a namespace and in its children; see :meth:`flush_cache`."""
        return await self._aclear(_prefixes(namespace))

    async def test_connection(self) -> ConnectionTest:
        """Write, read and delete a probe. Never raises: what is wrong is said in words."""
        key = f"askonce-probe:{secrets.token_hex(8)}"
        try:
            await self._awrite([(key, encode_value("probe"), 60.0)])
            found = await self.async_get_cache(key)
            await self._aremove((key,))
        except BackendError as error:
            return ConnectionTest(status="failed", message=str(error))
        if found != "probe":
            return ConnectionTest(
                status="failed", message=f"{self.name}: what was written did not come back"
            )
        return ConnectionTest(
            status="success", message=f"{self.name}: wrote, read and deleted a probe"
        )

    async def disconnect(self) -> None:
        """Close what this backend opened, if anything; the next call opens it again."""

    def _values(
        self, keys: Sequence[str], found: Sequence[bytes | None]
    ) -> tuple[list[JSON], list[str]]:
        """Decode what was found; the second list names what cannot be."""
        values: list[JSON] = []
        unreadable: list[str] = []
        for key, data in zip(keys, found, strict=True):
            try:
                values.append(None if data is None else decode_value(data))
            except EntryError:
                self.undecodable += 1
                values.append(None)
                unreadable.append(key)
        return values, unreadable

    def _item(self, key: str, value: JSON, ttl: float | None) -> Item:
        """None is absent, and so is what has no time: both are items of retention 0."""
        return (key, b"", 0.0) if value is None else (key, encode_value(value), ttl)


def _prefixes(namespace: str | None) -> tuple[str, str] | None:
    return None if namespace is None else (f"{namespace}:", f"{namespace}/")
