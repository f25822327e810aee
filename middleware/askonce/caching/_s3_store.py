"""Bytes under keys in a bucket: names, contents and time, on the requests of a Bucket."""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from askonce.caching._s3_names import SUFFIX, Names, Search
from askonce.caching._s3_objects import Content, headers, over_at, pack, unpack
from askonce.codec import Number, decode_number, encode_value
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from askonce.caching._s3_bucket import Bucket
    from askonce.caching._s3_held import Held

INEXACT: Final = (
    "counters are exact within one process only: this server ignores conditional writes (If-Match)"
)

_ATTEMPTS: Final = 100
_PAUSE: Final = 0.005
_UNREADABLE: Final = b""

_log = logging.getLogger("askonce")


class Store:
    """What is kept in a bucket. Thread-safe, but for ``add``: call it in one thread at a time.

    Args:
        bucket: Where it is kept; closed by ``close``.
        names: What objects are called.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, bucket: Bucket, names: Names, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._names = names
        self._clock = clock
        self._exact: bool | None = None

    def close(self) -> None:
        """Close the bucket's connections."""
        self._bucket.close()

    def read(self, key: str) -> bytes | None:
        """Return the bytes under a key, none of them if they are not ours; None: absent."""
        name = self._names.of(key)
        found = self._bucket.get(name)
        if found is None:
            return None
        content = unpack(found.body)
        if content is None or content.key != key:
            return _UNREADABLE
        if content.over > self._clock():
            return content.data
        with contextlib.suppress(BackendError):  # the next one who reads it tries again
            self._bucket.delete_if(name, found.etag)
        return None

    def write(self, key: str, data: bytes, retention: float | None) -> None:
        """Keep bytes for so many seconds; None: without a limit."""
        content = Content(key, data, over_at(self._clock(), retention))
        self._bucket.put(self._names.of(key), pack(content), self._headers(content))

    def remove(self, keys: Iterable[str]) -> int:
        """Delete keys. Returns how many there were."""
        names = [self._names.of(key) for key in dict.fromkeys(keys)]
        found = [(name, *self._bucket.get_over(name)) for name in names]
        self._bucket.delete([name for name, there, _ in found if there])
        now = self._clock()
        return sum(there and over > now for _, there, over in found)

    def remove_all(self, prefixes: Sequence[str] | None) -> int:
        """Delete all keys that begin with one of ``prefixes``; None: all of ours.

        Returns:
            How many objects there were, also of those whose time was over.
        """
        return sum(
            self._remove_found(search, prefix)
            for prefix in ((None,) if prefixes is None else prefixes)
            for search in self._names.searches(prefix)
        )

    def add(self, key: str, amount: Number, retention: float | None) -> Number:
        """Add to a counter, and return the sum; see ``Primitives``."""
        exact = self.counts_exactly()
        name = self._names.of(key)
        mark = secrets.token_bytes(8)
        for attempt in range(_ATTEMPTS):
            found = self._bucket.get(name)
            old = self._counter(key, found)
            if old is not None and old[0].mark == mark:
                return old[1]  # it was written: only the answer was lost
            new, number = self._added(key, old, amount, retention)
            if new.over <= self._clock():
                return number  # without any time to be kept there is nothing to write
            if self._replace(name, found, new._replace(mark=mark), exact=exact):
                return number
            time.sleep(random.uniform(0, _PAUSE * min(attempt, 20)))  # noqa: S311 - no secret
        raise BackendError("s3: others kept changing this counter. HINT: ask again")

    def counts_exactly(self) -> bool:
        """Say whether counters are exact although other processes add to them, too.

        It is tried once. That they are not is logged.
        """
        if self._exact is None:
            probe = self._names.of(f"askonce-probe:{secrets.token_hex(8)}")
            self._exact = self._bucket.writes_on_condition(probe)
            if not self._exact:
                _log.warning("s3: %s", INEXACT)
        return self._exact

    def check_listing(self) -> None:
        """Raise BackendError if keys cannot be listed, and so not be flushed."""
        self._bucket.check_listing(self._names.searches(None)[0].beginning)

    def _remove_found(self, search: Search, prefix: str | None) -> int:
        count = 0
        for page in self._bucket.pages(search.beginning):
            ours = [name for name in page if name.endswith(SUFFIX)]
            if not search.certain:
                ours = [name for name in ours if self._begins(name, str(prefix))]
            self._bucket.delete(ours)
            count += len(ours)
        return count

    def _begins(self, name: str, prefix: str) -> bool:
        found = self._bucket.get(name)
        content = found and unpack(found.body)
        return content is not None and content.key.startswith(prefix)

    def _counter(self, key: str, found: Held | None) -> tuple[Content, Number] | None:
        if found is None:
            return None
        content = unpack(found.body)
        if content is not None and content.over <= self._clock():
            return None
        number = None if content is None else decode_number(content.data)
        if content is None or content.key != key or number is None:
            raise BackendError("s3: what is kept under this key is not a number")
        return content, number

    def _added(
        self,
        key: str,
        old: tuple[Content, Number] | None,
        amount: Number,
        retention: float | None,
    ) -> tuple[Content, Number]:
        if old is None:
            over = over_at(self._clock(), retention)
            return Content(key, encode_value(amount), over), amount
        number = old[1] + amount
        return old[0]._replace(data=encode_value(number)), number

    def _replace(self, name: str, found: Held | None, new: Content, *, exact: bool) -> bool:
        told = self._headers(new)
        if exact:
            return self._bucket.put_if(name, pack(new), told, found and found.etag)
        self._bucket.put(name, pack(new), told)
        return True

    def _headers(self, content: Content) -> dict[str, Any]:
        return headers(self._names.of(content.key), content.over, self._clock())
