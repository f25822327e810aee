"""An S3 that fails says so in words, names the variable, and shows no secret."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from askonce.caching._s3_errors import failure, where
from askonce.caching.caching import Cache
from askonce.caching.s3_cache import S3Cache
from askonce.entry import Entry
from askonce.errors import BackendError, BackendTimeoutError
from support.s3_servers import (
    NOBODY,
    OWNER,
    READER,
    WRITER,
    Moto,
    S3Server,
    SeaweedFS,
    keys_of,
    server,
    shared,
)
from support.tls import tls
from support.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeCache = Callable[..., S3Cache]

ENTRY = Entry("ns:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)
PATIENT = {"timeout": 10.0}
HASTY = {"timeout": 0.05}

ALL_CALLS = {
    "get_cache": lambda cache: cache.get_cache("k"),
    "get_entry": lambda cache: cache.get_entry("k"),
    "batch_get_cache": lambda cache: cache.batch_get_cache(["k", "l"]),
    "set_cache": lambda cache: cache.set_cache("k", 1),
    "delete_cache": lambda cache: cache.delete_cache("k"),
    "increment_cache": lambda cache: cache.increment_cache("k"),
    "flush_cache": lambda cache: cache.flush_cache("ns"),
    "async_get_cache": lambda cache: asyncio.run(cache.async_get_cache("k")),
    "async_set_cache": lambda cache: asyncio.run(cache.async_set_cache("k", 1)),
}
EVERY_CALL = pytest.mark.parametrize("call", ALL_CALLS.values(), ids=ALL_CALLS)


@pytest.fixture
def seaweedfs() -> S3Server:
    return shared(SeaweedFS)


@pytest.fixture
def hung(seaweedfs: S3Server) -> Iterator[S3Server]:
    seaweedfs.suspend()
    yield seaweedfs
    seaweedfs.resume()


@pytest.fixture(autouse=True)
def _no_credentials_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def told(cache: S3Cache) -> str:
    """What a connection test says of a cache that does not work."""
    result = asyncio.run(cache.test_connection())
    assert result["status"] == "failed"
    assert "HINT: " in result["message"]
    return result["message"]


# ---- the server is away


@EVERY_CALL
def test_where_nobody_listens_the_endpoint_is_named(make: MakeCache, call) -> None:
    port = free_port()
    cache = make(
        s3_bucket_name="b", s3_endpoint_url=f"http://u:pw@127.0.0.1:{port}", **keys_of(OWNER)
    )
    with pytest.raises(BackendError, match=f"'b' at 127.0.0.1:{port}: nobody answers") as caught:
        call(cache)
    assert "ASKONCE_S3_ENDPOINT_URL" in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("kind", [SeaweedFS, Moto])
def test_a_server_that_was_killed_is_named_and_used_again_when_it_is_back(
    make: MakeCache, kind: type[S3Server]
) -> None:
    with server(kind) as mortal:
        cache = make(**mortal.arguments(**PATIENT))
        cache.set_cache("k", 1)
        mortal.kill()
        for call in ALL_CALLS.values():
            with pytest.raises(BackendError, match=r"nobody answers there|connection was closed"):
                call(cache)
        assert "ASKONCE_S3_ENDPOINT_URL" in told(cache)
        mortal.start()
        cache.set_cache("k", 2)
        assert cache.get_cache("k") == 2


@EVERY_CALL
def test_a_server_that_hangs_is_not_waited_for(make: MakeCache, hung: S3Server, call) -> None:
    cache = make(**hung.arguments(**HASTY))
    with pytest.raises(BackendTimeoutError, match=r"no answer in time\. HINT"):
        call(cache)


def test_a_server_that_hangs_for_a_while_is_used_again(
    make: MakeCache, seaweedfs: S3Server
) -> None:
    arguments = seaweedfs.arguments()
    hasty, patient = make(**arguments, **HASTY), make(**arguments, **PATIENT)
    patient.set_cache("k", 1)
    seaweedfs.suspend()
    try:
        assert "no answer in time" in told(hasty)
    finally:
        seaweedfs.resume()
    assert patient.get_cache("k") == 1


async def test_the_journey_takes_a_server_that_hangs_for_a_miss(hung: S3Server) -> None:
    backend = S3Cache(**hung.arguments(), timeout=0.2)
    cache = Cache(backend=backend, backend_timeout=0.05)
    found = await cache.lookup("ns:1")
    assert getattr(found, "reason", None) == "timeout"
    assert await cache.store(ENTRY, 60) is False
    assert cache.stats().errors == 2
    await backend.disconnect()


# ---- the server refuses


WRONG = {
    "bucket": ({"s3_bucket_name": "missing"}, "no such bucket", "S3_BUCKET_NAME"),
    "name": ({"s3_bucket_name": "no/name"}, "no name of a bucket", "S3_BUCKET_NAME"),
    "secret": ({"s3_aws_secret_access_key": "wrong"}, "secret", "S3_AWS_SECRET_ACCESS_KEY"),
    "id": ({"s3_aws_access_key_id": "wrong"}, "no such access key", "S3_AWS_ACCESS_KEY_ID"),
    "reader": (keys_of(READER), "access denied", "s3:PutObject"),
    "no list": (keys_of(WRITER), "access denied", "s3:ListBucket"),
    "nobody": (keys_of(NOBODY), "access denied", "S3_BUCKET_NAME"),
    "no keys": (
        {"s3_aws_access_key_id": None, "s3_aws_secret_access_key": None},
        "no credentials found",
        "S3_AWS_ACCESS_KEY_ID",
    ),
    "half": ({"s3_aws_secret_access_key": None}, "half of the", "S3_AWS_SECRET_ACCESS_KEY"),
    "region": ({"s3_region_name": "no region!"}, "no region", "S3_REGION_NAME"),
    "version": ({"s3_api_version": "1999-01-01"}, "no such API version", "S3_API_VERSION"),
    "url": ({"s3_endpoint_url": "127.0.0.1:80"}, "does not take", "S3_ENDPOINT_URL"),
    "host": ({"s3_endpoint_url": "http://[::1"}, "does not take", "S3_ENDPOINT_URL"),
    "config": ({"s3_config": {"read_timeout": "x"}}, "does not take", "S3_CONFIG"),
    "driver": ({"colour": "blue"}, "does not take", "S3_CONFIG"),
}


@pytest.mark.parametrize(("wrong", "what", "variable"), WRONG.values(), ids=WRONG)
def test_a_connection_test_says_what_is_wrong_and_which_variable_to_set(
    make: MakeCache, seaweedfs: S3Server, wrong: dict[str, Any], what: str, variable: str
) -> None:
    message = told(make(**{**seaweedfs.arguments(**PATIENT), **wrong}))
    assert what in message
    assert variable in message
    assert OWNER[1] not in message


@EVERY_CALL
def test_a_wrong_secret_is_named_by_every_call(make: MakeCache, seaweedfs, call) -> None:
    cache = make(**{**seaweedfs.arguments(**PATIENT), **keys_of((OWNER[0], "wrong-secret"))})
    with pytest.raises(BackendError, match="ASKONCE_S3_AWS_SECRET_ACCESS_KEY") as caught:
        call(cache)
    assert "wrong-secret" not in str(caught.value)


@EVERY_CALL
def test_a_missing_bucket_is_named_by_every_call(make: MakeCache, seaweedfs, call) -> None:
    cache = make(**{**seaweedfs.arguments(**PATIENT), "s3_bucket_name": "missing"})
    with pytest.raises(BackendError, match=r"bucket 'missing' .*ASKONCE_S3_BUCKET_NAME"):
        call(cache)


def test_who_may_not_delete_is_told_so_by_a_flush(make: MakeCache, seaweedfs: S3Server) -> None:
    arguments = seaweedfs.arguments(**PATIENT)
    make(**arguments).set_cache("ns:1", 1)
    with pytest.raises(BackendError, match="access denied"):
        make(**{**arguments, **keys_of(READER)}).flush_cache("ns")


CODES = {
    "ExpiredToken": "ASKONCE_S3_AWS_SESSION_TOKEN",
    "InvalidToken": "ASKONCE_S3_AWS_SESSION_TOKEN",
    "PermanentRedirect": "ASKONCE_S3_REGION_NAME",
    "AuthorizationHeaderMalformed": "ASKONCE_S3_REGION_NAME",
    "RequestTimeTooSkewed": "clock",
    "SlowDown": "fewer requests",
    "Unheard": "refused with Unheard",
}


@pytest.mark.parametrize(("code", "words"), CODES.items())
def test_refusals_that_test_servers_never_make_are_in_words_too(code: str, words: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "sesame"}}, "GetObject")
    message = str(failure(where("b", None), error))
    assert words in message
    assert "sesame" not in message


def test_an_unknown_failure_is_named_by_its_kind_alone() -> None:
    assert str(failure("s3", OSError("https://u:pw@host"))) == (
        "s3: OSError. HINT: see that the ASKONCE_S3_… variables are right"
    )


# ---- TLS


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("verify", [True, False, None], ids=["trusted", "unchecked", "untrusted"])
def test_certificates_are_checked_as_s3_verify_says(
    make: MakeCache, seaweedfs: S3Server, tmp_path: Path, verify: bool | None
) -> None:
    with tls(seaweedfs, tmp_path) as safe:
        arguments = seaweedfs.arguments(**PATIENT)
        arguments["s3_endpoint_url"] = f"https://127.0.0.1:{safe.port}"
        cache = make(**arguments, s3_verify=str(safe.ca_certs) if verify else verify)
        if verify is None:
            assert "ASKONCE_S3_VERIFY" in told(cache)
        else:
            cache.set_cache("k", 1)
            assert cache.get_cache("k") == 1
        asyncio.run(cache.disconnect())


def test_tls_where_the_server_speaks_none_is_named(make: MakeCache, seaweedfs: S3Server) -> None:
    arguments = seaweedfs.arguments(**PATIENT)
    arguments["s3_endpoint_url"] = seaweedfs.url.replace("http:", "https:")
    assert "speaks no TLS" in told(make(**arguments))
