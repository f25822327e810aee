"""Answers in a bucket: many machines share them, they cost little, and they outlive everything.

boto3 blocks, so every call, the synchronous ones too, runs in threads of this cache's own
(:mod:`askonce.caching._workers`), with as many connections. A call on many keys is spread over
them.

Each answer is an object (:mod:`askonce.caching._s3_names`, :mod:`askonce.caching._s3_objects`).
S3 does not know when it is over: that is found out by whoever reads it next, who deletes it. What
nobody reads again needs a lifecycle rule on the bucket, for the prefix that ``s3_path`` is and for
more days than answers are kept::

    {"Rules": [{"ID": "askonce", "Status": "Enabled", "Filter": {"Prefix": "askonce/"},
                "Expiration": {"Days": 2}}]}

Counters are added to by conditional writes (``If-Match``), and so are exact whoever else adds to
them. Some servers ignore the condition: there they are exact within one process only, which is
logged, and said by ``test_connection``.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar, cast

from askonce.caching._s3_bucket import Bucket
from askonce.caching._s3_client import check_driver, make_client, make_config, threads_of
from askonce.caching._s3_held import HeldObjects
from askonce.caching._s3_names import Names, checked_path
from askonce.caching._s3_store import INEXACT, Store
from askonce.caching._workers import Workers
from askonce.caching.base_cache import BaseCache, ConnectionTest
from askonce.errors import BackendError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from pydantic import SecretStr

    from askonce.caching._primitives import Item
    from askonce.codec import Number
    from askonce.settings import CacheSettings

T = TypeVar("T")

TIMEOUT: Final = 1.0
HELD_BYTES: Final = 16 * 1024 * 1024


class S3Cache(BaseCache):
    """A backend in a bucket. Thread-safe; the event loop never waits for it.

    The parameters that begin with ``s3_`` are LiteLLM's. What is not given is found as boto3
    finds it: in its environment variables, its files, and the machine's role.

    Args:
        s3_bucket_name: The bucket; it must exist.
        s3_region_name: Its region.
        s3_api_version: The API's version, if not the latest.
        s3_use_ssl: Speak TLS, where ``s3_endpoint_url`` does not say.
        s3_verify: Whether certificates are checked, or the file with the authorities that count.
        s3_endpoint_url: Where a server other than Amazon's is. If that is an address or a name
            without a domain, the bucket's name goes into the path.
        s3_aws_access_key_id: The access key's id.
        s3_aws_secret_access_key: Its secret.
        s3_aws_session_token: The token that temporary access keys come with.
        s3_config: A ``botocore.config.Config`` or its arguments by name; they go before ours.
            Its ``max_pool_connections`` is how many requests run at the same time (17).
        s3_path: Goes before the name of every object; at most 600 bytes.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        timeout: Seconds to wait for a connection, and for an answer; each request is tried twice.
        held_bytes: Bytes of objects to keep in memory, so that S3 need not send them again while
            they do not change; 0: none.
        clock: Returns Unix time in seconds.
        **driver: Further arguments of boto3's ``client``.

    Raises:
        SettingsError: ``s3_path`` or ``s3_config`` cannot be used.
        MissingExtraError: boto3 is not installed.
    """

    name: ClassVar[str] = "s3"

    def __init__(  # noqa: PLR0913, PLR0917 - the names that LiteLLM's users know
        self,
        s3_bucket_name: str,
        s3_region_name: str | None = None,
        s3_api_version: str | None = None,
        s3_use_ssl: bool | None = True,
        s3_verify: bool | str | None = None,
        s3_endpoint_url: str | None = None,
        s3_aws_access_key_id: str | None = None,
        s3_aws_secret_access_key: str | None = None,
        s3_aws_session_token: str | None = None,
        s3_config: Any = None,
        s3_path: str | None = None,
        *,
        default_ttl: float | None = None,
        timeout: float = TIMEOUT,
        held_bytes: int = HELD_BYTES,
        clock: Callable[[], float] = time.time,
        **driver: Any,
    ) -> None:
        super().__init__(default_ttl)
        check_driver()
        names = Names(checked_path(s3_path))
        config = make_config(s3_config, s3_endpoint_url, timeout)
        arguments = {
            "aws_access_key_id": s3_aws_access_key_id,
            "aws_secret_access_key": s3_aws_secret_access_key,
            "aws_session_token": s3_aws_session_token,
            "region_name": s3_region_name,
            "api_version": s3_api_version,
            "use_ssl": s3_use_ssl is not False,
            "verify": s3_verify,
            "endpoint_url": s3_endpoint_url,
            "config": config,
            **driver,
        }

        def opening() -> Store:
            client = make_client(s3_bucket_name, arguments)
            return Store(Bucket(client, s3_bucket_name, HeldObjects(held_bytes)), names, clock)

        self._threads = threads_of(config)
        self._workers = Workers(opening, self._threads, "askonce-s3")

    @classmethod
    def from_settings(
        cls, settings: CacheSettings, *, clock: Callable[[], float] = time.time, **driver: Any
    ) -> Self:
        """Make one as ``settings`` say.

        Args:
            settings: The ``s3_*`` fields, ``ttl`` and ``backend_timeout`` are read.
            clock: Returns Unix time in seconds.
            **driver: Further arguments of boto3's ``client``.

        Raises:
            SettingsError: There is no ``s3_bucket_name``, or a field cannot be used.
            MissingExtraError: boto3 is not installed.
        """
        if settings.s3_bucket_name is None:
            raise SettingsError("ASKONCE_S3_BUCKET_NAME: not set; type s3 needs a bucket's name")
        return cls(
            settings.s3_bucket_name,
            s3_region_name=settings.s3_region_name,
            s3_api_version=settings.s3_api_version,
            s3_use_ssl=settings.s3_use_ssl,
            s3_verify=settings.s3_verify,
            s3_endpoint_url=settings.s3_endpoint_url,
            s3_aws_access_key_id=settings.s3_aws_access_key_id,
            s3_aws_secret_access_key=_shown(settings.s3_aws_secret_access_key),
            s3_aws_session_token=_shown(settings.s3_aws_session_token),
            s3_config=settings.s3_config,
            s3_path=settings.s3_path,
            default_ttl=settings.effective_ttl,
            timeout=settings.effective_backend_timeout or TIMEOUT,
            clock=clock,
            **driver,
        )

    async def test_connection(self) -> ConnectionTest:
        """Write, read, delete and list a probe, and find out whether counters are exact.

        Never raises: what is wrong is said in words.
        """
        result = await super().test_connection()
        if result["status"] == "failed":
            return result
        try:
            await self._run(self._check_listing)
            exact = await self._run(self._counts_exactly)
        except BackendError as error:
            return ConnectionTest(status="failed", message=str(error))
        if not exact:
            result["message"] += f"; {INEXACT}"
        return result

    async def disconnect(self) -> None:
        """Close all connections, behind what is still being done. The next call opens new ones."""
        await self._workers.close()

    # ---- primitives: each runs in a worker, on a part of what was asked for

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        store = self._workers.owned()
        return [store.read(key) for key in keys]

    def _write(self, items: Sequence[Item]) -> None:
        store = self._workers.owned()
        for key, data, retention in items:
            store.write(key, data, retention)

    def _remove(self, keys: Sequence[str]) -> int:
        return self._workers.owned().remove(keys)

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        return self._workers.owned().remove_all(prefixes)

    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        return self._workers.owned().add(key, amount, retention)

    def _check_listing(self) -> None:
        self._workers.owned().check_listing()

    def _counts_exactly(self) -> bool:
        return self._workers.owned().counts_exactly()

    # ---- threads

    def _call(self, primitive: Callable[..., T], *args: Any) -> T:
        return _joined([part.result() for part in self._submit(primitive, *args)])

    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        parts = map(asyncio.wrap_future, self._submit(primitive, *args))
        return _joined(await asyncio.gather(*parts))

    def _submit(self, primitive: Callable[..., T], *args: Any) -> list[Future[T]]:
        """Give a call to as many workers as there is work for."""
        if primitive in (self._read, self._write, self._remove):
            parts = _parts(args[0], self._threads)
            return [self._workers.submit(primitive, part) for part in parts]
        alone = primitive in (self._add, self._counts_exactly)
        return [self._workers.submit(primitive, *args, alone=alone)]


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _parts(many: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Part many things into at most ``count`` runs, in their order."""
    length = -(-len(many) // count) or 1
    return [many[start : start + length] for start in range(0, len(many), length)] or [many]


def _joined(results: list[T]) -> T:
    """Join what a primitive returned for each part: lists and counts add up."""
    first, *others = cast("list[Any]", results)
    for other in others:
        first = None if other is None else first + other
    return cast("T", first)
