"""What is in the bucket: names, headers, and nobody else's objects."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from askonce.entry import Entry
from askonce.errors import BackendError
from support.s3_servers import BUCKET, S3Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.s3_cache import S3Cache

    MakeCache = Callable[..., S3Cache]

ENTRY = Entry("ns:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)


def looked_at(server: S3Server, path: str) -> list[dict[str, Any]]:
    """The head of every object below a path."""
    with contextlib.closing(server.client()) as client:
        return [client.head_object(Bucket=BUCKET, Key=name) for name in server.names(path)]


def test_an_object_says_for_how_long_it_is_kept_and_what_it_is(
    server: S3Server, on: MakeCache, path: str
) -> None:
    on(server).set_entry(ENTRY, 90)
    assert server.names(path) == [f"{path}/ns/1.askonce"]
    (head,) = looked_at(server, path)
    assert head["CacheControl"] == "private, max-age=90"
    assert head["ContentType"] == "application/octet-stream"
    assert head["ContentDisposition"] == 'attachment; filename="1.askonce"'
    assert head["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Tue, 14 Nov 2023 22:14:50 GMT"


def test_without_a_path_objects_are_at_the_top_of_the_bucket(
    server: S3Server, on: MakeCache, path: str
) -> None:
    namespace = path.partition("/")[0]
    cache = on(server, s3_path=None)
    cache.set_cache(f"{namespace}:1", 1)
    assert server.names(namespace) == [f"{namespace}/1.askonce"]
    assert cache.flush_cache(namespace) == 1


STRANGE = [
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "//",
    ":",
    "a//b:c",
    "a/",
    "a/.",
    "\x00\x01\x7f\n\r\t",
    "\ud800",
    "<&>\"'+%2F?#=\\",
    "ns:" + "x" * 2_000,
    "\N{SNOWMAN}" * 2_000,
    "A:b",
    "a:b",
    "a:B",
]


async def test_every_text_is_a_key_of_its_own(server: S3Server, on: MakeCache) -> None:
    await on(server).async_set_cache_pipeline(
        [(key, key.encode("utf-8", "replace").hex()) for key in STRANGE]
    )
    found = await on(server).async_batch_get_cache(STRANGE)
    assert found == [key.encode("utf-8", "replace").hex() for key in STRANGE]
    assert await on(server).async_delete_many([*STRANGE, "absent"]) == len(STRANGE)


@pytest.mark.parametrize(
    "namespace", ["\N{SNOWMAN}" * 300, "n/" * 400, "a:b", "a:" + "b" * 300, "."]
)
def test_a_flush_takes_the_right_ones_however_long_their_names(
    server: S3Server, on: MakeCache, namespace: str
) -> None:
    own = [
        f"{namespace}{rest}"
        for rest in (":1", ":", f":{'y' * 500}", "/c:1", "/" + "c" * 300 + ":1")
    ]
    others = [f"{namespace}{rest}" for rest in ("x:1", "", "x", "x" * 300 + ":1")] + [
        "n:1",
        "n/m:1",
    ]
    cache = on(server)
    for key in [*own, *others]:
        cache.set_cache(key, key)
    assert on(server).flush_cache(namespace) == len(own)
    assert cache.batch_get_cache(own) == [None] * len(own)
    assert cache.batch_get_cache(others) == others


def test_a_flush_of_everything_spares_what_is_not_ours(
    server: S3Server, on: MakeCache, path: str
) -> None:
    with contextlib.closing(server.client()) as client:
        client.put_object(Bucket=BUCKET, Key=f"{path}/ns/report.pdf", Body=b"x")
    cache = on(server)
    cache.set_cache("ns:1", 1)
    assert cache.flush_cache() == 1
    assert server.names(path) == [f"{path}/ns/report.pdf"]


def test_a_flush_deletes_a_thousand_with_a_request(
    moto: S3Server, on: MakeCache, path: str
) -> None:
    cache = on(moto)
    asyncio.run(cache.async_set_cache_pipeline([(f"ns:{number}", 1) for number in range(1_001)]))
    before = len(moto.requests)
    assert cache.flush_cache("ns") == 1_001
    assert [method for method, _, _ in moto.requests[before:]].count("POST") == 2
    assert moto.names(path) == []


@pytest.mark.parametrize("body", [b"", b"5", b'{"choices": []}', b"x" * 1_000])
def test_a_strangers_object_in_the_place_of_ours_is_absent_and_deleted(
    server: S3Server, on: MakeCache, path: str, body: bytes
) -> None:
    cache = on(server)
    with contextlib.closing(server.client()) as client:
        for leaf in ("1", "2", "3"):
            client.put_object(Bucket=BUCKET, Key=f"{path}/ns/{leaf}.askonce", Body=body)
    assert cache.get_cache("ns:1") is None
    assert cache.get_entry("ns:2") is None
    assert cache.undecodable == 2
    with pytest.raises(BackendError, match="not a number"):
        cache.increment_cache("ns:3")
    assert cache.delete_cache("ns:3") is True
    assert server.names(path) == []


def test_an_object_that_was_copied_to_another_name_is_not_served(
    server: S3Server, on: MakeCache, path: str
) -> None:
    cache = on(server)
    cache.set_cache("ns:1", "mine")
    with contextlib.closing(server.client()) as client:
        source = {"Bucket": BUCKET, "Key": f"{path}/ns/1.askonce"}
        client.copy_object(Bucket=BUCKET, Key=f"{path}/ns/2.askonce", CopySource=source)
    assert cache.batch_get_cache(["ns:1", "ns:2"]) == ["mine", None]
