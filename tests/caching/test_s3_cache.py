"""What S3 promises beyond the contract, on two servers: few bytes, exact counters, any key."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from askonce.caching import _s3_store, s3_cache
from askonce.caching._s3_bucket import Bucket
from askonce.caching._s3_client import make_client, make_config, threads_of
from askonce.caching._s3_store import INEXACT, Store
from askonce.caching.s3_cache import S3Cache
from askonce.entry import Entry
from askonce.errors import BackendError, MissingExtraError, SettingsError
from askonce.settings import CacheSettings
from support.s3_servers import BUCKET, Moto, S3Server, SeaweedFS, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeCache = Callable[..., S3Cache]

ENTRY = Entry("ns:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[SeaweedFS, Moto], ids=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    return shared(request.param)


@pytest.fixture
def moto() -> S3Server:
    return shared(Moto)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """A path of this test's own."""
    return f"{os.urandom(6).hex()}/{request.node.originalname}"


@pytest.fixture
def on(path: str, clock: Clock) -> Iterator[MakeCache]:
    """Makes caches on a server, all on the same objects."""
    made: list[S3Cache] = []

    def make(server: S3Server, **others: Any) -> S3Cache:
        arguments = {"s3_path": path, "clock": clock, "timeout": 10.0, **others}
        made.append(S3Cache(**server.arguments(**arguments)))
        return made[-1]

    yield make
    for cache in made:
        asyncio.run(cache.disconnect())


def looked_at(server: S3Server, path: str) -> list[dict[str, Any]]:
    """The head of every object below a path."""
    with contextlib.closing(server.client()) as client:
        return [client.head_object(Bucket=BUCKET, Key=name) for name in server.names(path)]


# ---- objects


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


# ---- time


def test_who_reads_what_is_over_deletes_it(
    server: S3Server, on: MakeCache, path: str, clock: Clock
) -> None:
    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 9.75
    assert cache.get_cache("ns:1") == 1
    clock.now += 0.25
    assert server.names(path) != []
    assert cache.get_cache("ns:1") is None
    assert server.names(path) == []


def test_what_is_over_was_not_there_to_be_deleted(
    server: S3Server, on: MakeCache, path: str, clock: Clock
) -> None:
    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 10
    assert cache.delete_cache("ns:1") is False
    assert server.names(path) == []


def test_what_replaced_something_that_is_over_is_not_deleted_with_it(
    server: S3Server, on: MakeCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other = on(server), on(server)
    late.set_cache("ns:1", "old", ttl=10)
    clock.now += 10
    delete_if = Bucket.delete_if

    def replaced_before(bucket: Bucket, name: str, etag: str) -> None:
        other.set_cache("ns:1", "new", ttl=10)
        delete_if(bucket, name, etag)

    monkeypatch.setattr(Bucket, "delete_if", replaced_before)
    assert late.get_cache("ns:1") is None
    assert other.get_cache("ns:1") == "new"


def test_what_is_over_is_absent_even_if_it_cannot_be_deleted(
    server: S3Server, on: MakeCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise BackendError("access denied")

    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 10
    monkeypatch.setattr(Bucket, "delete_if", denied)
    assert cache.get_cache("ns:1") is None


# ---- few bytes


def gets(server: S3Server, path: str, before: int) -> list[int]:
    """The statuses with which objects below a path were read since."""
    return [
        status
        for method, asked, status in server.requests[before:]
        if method == "GET" and f"/{path}/" in asked
    ]


def test_what_did_not_change_is_not_sent_again(moto: S3Server, on: MakeCache, path: str) -> None:
    writer, reader = on(moto), on(moto)
    writer.set_cache("ns:1", "x" * 100_000)
    before = len(moto.requests)
    for cache in (writer, reader, reader):
        assert cache.get_cache("ns:1") == "x" * 100_000
    assert gets(moto, path, before) == [304, 200, 304]


def test_what_others_did_meanwhile_is_seen_at_once(server: S3Server, on: MakeCache) -> None:
    one, other = on(server), on(server)
    one.set_cache("ns:1", "old")
    other.set_cache("ns:1", "new")
    assert one.get_cache("ns:1") == "new"
    other.delete_cache("ns:1")
    assert one.get_cache("ns:1") is None


def test_the_same_value_kept_longer_by_others_is_kept_longer(
    server: S3Server, on: MakeCache, clock: Clock
) -> None:
    one, other = on(server), on(server)
    one.set_cache("ns:1", "same", ttl=10)
    other.set_cache("ns:1", "same", ttl=20)
    clock.now += 15
    assert one.get_cache("ns:1") == "same"
    other.set_cache("ns:1", "same", ttl=1)
    clock.now += 1
    assert one.get_cache("ns:1") is None


def test_nothing_is_held_where_nothing_may_be(moto: S3Server, on: MakeCache, path: str) -> None:
    cache = on(moto, held_bytes=0)
    cache.set_cache("ns:1", 1)
    before = len(moto.requests)
    assert [cache.get_cache("ns:1") for _ in range(2)] == [1, 1]
    assert gets(moto, path, before) == [200, 200]


def test_deleting_reads_no_bodies(moto: S3Server, on: MakeCache) -> None:
    cache = on(moto)
    cache.set_cache("ns:1", "x" * 100_000)
    before = len(moto.requests)
    assert cache.delete_cache("ns:1") is True
    assert [(method, status) for method, _, status in moto.requests[before:]] == [
        ("GET", 206),
        ("POST", 200),
    ]


# ---- counters


def test_counters_are_exact_across_processes(server: S3Server, on: MakeCache) -> None:
    caches = [on(server) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda n: caches[n % 4].increment_cache("ns:n"), range(60)))
    assert sorted(sums) == list(range(1, 61))


def test_an_addition_counts_once_although_its_answer_was_lost(
    server: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_if = Bucket.put_if
    lost = iter([True, False, True])

    def losing(bucket: Bucket, *args: Any) -> bool:
        return put_if(bucket, *args) and not next(lost, False)

    monkeypatch.setattr(Bucket, "put_if", losing)
    cache = on(server)
    assert [cache.increment_cache("ns:n", 5) for _ in range(3)] == [5, 10, 15]


@pytest.mark.parametrize("ttl", [0, -1.0])
def test_a_counter_without_any_time_is_not_kept(
    server: S3Server, on: MakeCache, path: str, ttl: float
) -> None:
    cache = on(server)
    assert [cache.increment_cache("ns:n", 5, ttl=ttl) for _ in range(2)] == [5, 5]
    assert server.names(path) == []


def test_a_counter_begins_anew_when_its_time_is_over(
    server: S3Server, on: MakeCache, clock: Clock
) -> None:
    cache = on(server)
    assert [cache.increment_cache("ns:n", 1, ttl=10) for _ in range(2)] == [1, 2]
    clock.now += 10
    assert cache.increment_cache("ns:n", 1, ttl=10) == 1


def test_who_never_gets_to_add_says_so(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_s3_store, "_ATTEMPTS", 3)
    monkeypatch.setattr(Bucket, "put_if", lambda *_: False)
    with pytest.raises(BackendError, match=r"others kept changing this counter\. HINT"):
        on(moto).increment_cache("ns:n")


@pytest.fixture
def _ignored_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gets to see no condition, as if it did not know what one is."""

    def without(request: Any, **_unused: Any) -> None:
        del request.headers["If-Match"]
        del request.headers["If-None-Match"]

    def make(*args: Any) -> Any:
        client = make_client(*args)
        client.meta.events.register("before-sign.s3.PutObject", without)
        return client

    monkeypatch.setattr(s3_cache, "make_client", make)


@pytest.mark.usefixtures("_ignored_conditions")
def test_where_conditions_are_ignored_counters_are_exact_in_one_process_which_is_said(
    server: S3Server, on: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache = on(server)
    with caplog.at_level(logging.WARNING, "askonce"), ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda _: cache.increment_cache("ns:n"), range(20)))
    assert sorted(sums) == list(range(1, 21))
    assert caplog.messages == [f"s3: {INEXACT}"]
    result = asyncio.run(cache.test_connection())
    assert result["status"] == "success"
    assert result["message"].endswith(INEXACT)


def test_where_conditions_are_honoured_nothing_is_said_of_them(
    server: S3Server, on: MakeCache, path: str
) -> None:
    result = asyncio.run(on(server).test_connection())
    assert result == {"status": "success", "message": "s3: wrote, read and deleted a probe"}
    assert server.names(path) == []


# ---- threads


async def test_a_batch_is_asked_for_at_the_same_time(
    server: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8, timeout=20)

    def with_the_others(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            together.wait()
            return original(*args)

        return call

    for method in ("read", "write"):
        monkeypatch.setattr(Store, method, with_the_others(getattr(Store, method)))
    keys = [f"ns:{number}" for number in range(8)]
    cache = on(server)
    await cache.async_set_cache_pipeline([(key, key) for key in keys])
    assert await cache.async_batch_get_cache(keys) == keys
    assert await asyncio.to_thread(cache.batch_get_cache, keys) == keys


async def test_the_event_loop_goes_on_while_the_server_hangs(
    server: S3Server, on: MakeCache
) -> None:
    cache = on(server)
    await cache.async_set_cache("ns:1", 1)
    server.suspend()
    try:
        pending = asyncio.create_task(cache.async_get_cache("ns:1"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not pending.done()
    finally:
        server.resume()
    assert await pending == 1


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("askonce-s3")]


async def test_disconnecting_ends_every_thread_and_warns_of_nothing(server: S3Server) -> None:
    cache = S3Cache(**server.arguments())
    await cache.async_set_cache_pipeline([(f"ns:{number}", number) for number in range(20)])
    await cache.async_increment("n")
    assert workers()
    await cache.disconnect()
    assert workers() == []
    del cache
    gc.collect()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here to count sockets in")
async def test_disconnecting_closes_every_connection(on: MakeCache) -> None:
    def sockets() -> set[str]:
        found = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()))
        return {path for path in found if path.startswith("socket:")}

    cache, before = on(shared(SeaweedFS)), sockets()
    await cache.async_set_cache_pipeline([(f"ns:{number}", number) for number in range(20)])
    crew = cache._workers._crew  # so that nothing is closed for want of an owner
    assert sockets() > before
    await cache.disconnect()
    assert sockets() == before
    assert crew is not None


async def test_nothing_is_opened_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(s3_cache, "make_client", lambda *args: opened.append(args))
    cache = S3Cache("bucket")
    await cache.disconnect()
    assert opened == []
    assert workers() == []


def test_a_forked_child_opens_its_own_connections(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = on(moto)
    cache.set_cache("ns:1", 1)
    parents = cache._workers._crew
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert cache.get_cache("ns:1") == 1
        assert cache._workers._crew is not parents
        asyncio.run(cache.disconnect())
    parents.close()


async def test_a_child_that_never_used_it_leaves_the_parents_connections_alone(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = on(moto)
    await cache.async_set_cache("ns:1", 1)
    parents = cache._workers._crew
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        await cache.disconnect()
    assert parents.many.submit(int).result() == 0
    parents.close()


# ---- settings

ALL_SETTINGS = {
    "s3_bucket_name": "bucket",
    "s3_region_name": "eu-central-1",
    "s3_api_version": "2006-03-01",
    "s3_use_ssl": False,
    "s3_verify": "/etc/ca.pem",
    "s3_endpoint_url": "http://s3.example.org",
    "s3_aws_access_key_id": "the-id",
    "s3_aws_secret_access_key": "the-secret",
    "s3_aws_session_token": "the-token",
}


def test_every_setting_reaches_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def make(bucket: str, arguments: dict[str, Any]) -> Any:
        seen.append({"bucket": bucket, **arguments})
        raise BackendError("seen enough")

    monkeypatch.setattr(s3_cache, "make_client", make)
    settings = CacheSettings(**ALL_SETTINGS, s3_config={"read_timeout": 7}, backend_timeout=3)
    cache = S3Cache.from_settings(settings, config_file="extra")
    with pytest.raises(BackendError, match="seen enough"):
        cache.get_cache("k")
    asyncio.run(cache.disconnect())
    config = seen[0].pop("config")
    assert seen == [
        {
            "bucket": "bucket",
            "region_name": "eu-central-1",
            "api_version": "2006-03-01",
            "use_ssl": False,
            "verify": "/etc/ca.pem",
            "endpoint_url": "http://s3.example.org",
            "aws_access_key_id": "the-id",
            "aws_secret_access_key": "the-secret",
            "aws_session_token": "the-token",
            "config_file": "extra",
        }
    ]
    assert (config.connect_timeout, config.read_timeout) == (3, 7)
    assert cache.default_ttl == settings.effective_ttl


async def test_a_cache_made_of_settings_works(server: S3Server, path: str) -> None:
    arguments = server.arguments(s3_path=path, s3_verify=True, backend_timeout=10)
    cache = S3Cache.from_settings(CacheSettings(**arguments))
    assert (await cache.test_connection())["status"] == "success"
    await cache.async_set_cache("ns:1", 1)
    await cache.disconnect()
    assert server.names(path) == [f"{path}/ns/1.askonce"]


def test_without_a_bucket_the_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="ASKONCE_S3_BUCKET_NAME"):
        S3Cache.from_settings(CacheSettings())


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askonce\[s3\]'"):
        S3Cache("bucket")


# ---- boto3's config


@pytest.mark.parametrize(
    ("endpoint", "style"),
    [
        (None, None),
        ("https://s3.example.org", None),
        ("http://127.0.0.1:9000", "path"),
        ("http://[::1]:9000", "path"),
        ("http://localhost:9000", "path"),
        ("http://s3.localhost", "path"),
        ("http://minio:9000", "path"),
        ("http://[", None),
    ],
)
def test_a_bucket_is_in_the_path_where_it_cannot_be_in_the_name(
    endpoint: str | None, style: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert (make_config(None, endpoint, 1.0).s3 or {}).get("addressing_style") == style
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        assert (make_config(None, None, 1.0).s3 or {}).get("addressing_style") == style


@pytest.mark.parametrize(
    "given",
    [
        {"s3": {"addressing_style": "virtual"}, "read_timeout": 9, "max_pool_connections": 3},
        Config(s3={"addressing_style": "virtual"}, read_timeout=9, max_pool_connections=3),
    ],
)
def test_what_s3_config_says_goes_before_ours(given: Any) -> None:
    config = make_config(given, "http://localhost", 1.5)
    assert config.s3 == {"addressing_style": "virtual"}
    assert (config.connect_timeout, config.read_timeout) == (1.5, 9)
    assert threads_of(config) == 2


def test_the_rest_is_short_and_plain() -> None:
    config = make_config({"s3": {"use_accelerate_endpoint": False}}, "http://localhost", 0.5)
    assert config.s3 == {"addressing_style": "path", "use_accelerate_endpoint": False}
    assert (config.connect_timeout, config.read_timeout) == (0.5, 0.5)
    assert config.retries["total_max_attempts"] == 2
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.max_pool_connections == threads_of(config) + 1 == 17


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": "blue"}, "unexpected keyword argument 'colour'"),
        ({"s3": {"addressing_style": "sideways"}}, "InvalidS3AddressingStyleError"),
        ({"max_pool_connections": "ten"}, "max_pool_connections"),
        ({"max_pool_connections": 0}, "max_pool_connections"),
    ],
)
def test_a_wrong_s3_config_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=f"ASKONCE_S3_CONFIG: .*{words}"):
        S3Cache("bucket", s3_config=given)
