"""Ways to a Redis server: sockets, TLS, logins, protocols."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from redis.credentials import UsernamePasswordCredentialProvider

from askonce.caching.redis_cache import RedisCache
from askonce.errors import BackendError, SettingsError
from askonce.settings import CacheSettings
from support import valkey
from support.faults import HOST, faulty
from support.tls import tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.valkey import Server

SECRET = "s3cret/@:"
ACL = ("--user", "app", "on", ">pw", "~*", "+@all")


async def both_ways(**parameters: Any) -> RedisCache:
    """Keep and read a value asynchronously and synchronously, then close."""
    cache = RedisCache(**{"socket_timeout": valkey.PATIENCE, **parameters})
    await cache.async_set_cache("a", 1)
    cache.set_cache("b", 2)
    assert await cache.async_batch_get_cache(["a", "b"]) == [1, 2]
    assert cache.batch_get_cache(["a", "b"]) == [1, 2]
    return cache


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    """A server with a password, a user, and a Unix socket."""
    with valkey.server(password=SECRET, unixsocket=True) as made:
        made.ask("ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "+@all")
        yield made


async def test_a_password_is_given_alone_or_in_the_url(locked: Server) -> None:
    await (await both_ways(host=locked.host, port=locked.port, password=SECRET)).disconnect()
    await (await both_ways(url=locked.url)).disconnect()


async def test_a_user_is_given_alone_or_in_the_url(locked: Server) -> None:
    where = f"{locked.host}:{locked.port}"
    for parameters in (
        {"url": f"redis://app:{quote(SECRET, safe='')}@{where}/1"},
        {"url": f"redis://{where}/1", "username": "app", "password": SECRET},
        {"host": locked.host, "port": str(locked.port), "username": "app", "password": SECRET},
    ):
        cache = await both_ways(**parameters)
        assert {it["user"] for it in cache.client_list() if it["cmd"] != "acl"} >= {"app"}
        await cache.disconnect()


def provider() -> UsernamePasswordCredentialProvider:
    return UsernamePasswordCredentialProvider("app", SECRET)


class Provider(UsernamePasswordCredentialProvider):
    def __init__(self) -> None:
        super().__init__("app", SECRET)


@pytest.mark.parametrize(
    "given", [provider(), provider, Provider, "function", "class"], ids=lambda it: str(it)[:12]
)
async def test_a_credential_provider_goes_before_a_password(
    locked: Server, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    module = SimpleNamespace(function=provider, **{"class": Provider})
    monkeypatch.setitem(sys.modules, "someones_module", module)
    if isinstance(given, str):
        given = f"someones_module:{given}"
    cache = await both_ways(
        host=locked.host, port=locked.port, password="wrong", credential_provider=given
    )
    assert {it["user"] for it in cache.client_list()} >= {"app"}
    await cache.disconnect()


@pytest.mark.parametrize("path", ["no_such_module:name", "askonce:no_such_name"])
def test_a_credential_provider_that_is_not_there_is_told(path: str) -> None:
    with pytest.raises(SettingsError, match=f"ASKONCE_REDIS_CREDENTIAL_PROVIDER: {path}"):
        RedisCache(credential_provider=path)


class Broken(UsernamePasswordCredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        raise KeyError("hidden")


async def test_a_credential_provider_that_fails_is_told(locked: Server) -> None:
    cache = RedisCache(
        locked.host, locked.port, credential_provider=Broken(), socket_timeout=valkey.PATIENCE
    )
    found = await cache.test_connection()
    assert "ASKONCE_REDIS_CREDENTIAL_PROVIDER" in found["message"]
    assert "hidden" not in found["message"]
    with pytest.raises(BackendError, match="ASKONCE_REDIS_CREDENTIAL_PROVIDER"):
        cache.get_cache("k")
    await cache.disconnect()


async def test_a_unix_socket(locked: Server) -> None:
    url = f"unix://{locked.unixsocket}?db=2&password={quote(SECRET, safe='')}"
    cache = await both_ways(url=url, host="ignored.invalid")
    assert repr(cache._server) == f"Server(unix {locked.unixsocket})"
    await cache.disconnect()


@pytest.fixture
def tls_parameters(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Where TLS is spoken, and who may: only who has a certificate."""
    server = valkey.shared()
    with tls(server, tmp_path, client_certificates=True) as there:
        yield {
            "url": f"rediss://{server.host}:{there.port}/0",
            "ssl_ca_certs": str(there.ca_certs),
            "ssl_certfile": str(there.certfile),
            "ssl_keyfile": str(there.keyfile),
            "socket_connect_timeout": valkey.PATIENCE,
        }


async def test_tls_with_a_certificate_of_ours(tls_parameters: dict[str, Any]) -> None:
    await (await both_ways(**tls_parameters)).disconnect()
    url = urlsplit(tls_parameters.pop("url"))
    cache = await both_ways(host=url.hostname, port=url.port, ssl=True, **tls_parameters)
    await cache.disconnect()


@pytest.mark.parametrize("missing", [["ssl_certfile", "ssl_keyfile"], ["ssl_ca_certs"]])
async def test_tls_that_cannot_be_is_told(
    tls_parameters: dict[str, Any], missing: list[str]
) -> None:
    for name in missing:
        del tls_parameters[name]
    cache = RedisCache(**tls_parameters, socket_timeout=valkey.PATIENCE)
    found = await cache.test_connection()
    assert found["status"] == "failed"
    assert "ASKONCE_SSL" in found["message"]
    await cache.disconnect()


async def test_tls_where_there_is_none_is_told() -> None:
    server = valkey.shared()
    cache = RedisCache(server.host, server.port, ssl=True, socket_connect_timeout=0.01)
    found = await cache.test_connection()
    assert found["status"] == "failed"
    assert "ASKONCE_SSL" in found["message"]
    await cache.disconnect()


async def test_a_certificate_file_that_is_missing_is_told(tmp_path: Path) -> None:
    cache = RedisCache(
        "localhost", 1, ssl=True, ssl_ca_certs=str(tmp_path / "missing.pem"), socket_timeout=9
    )
    found = await cache.test_connection()
    assert "no such file" in found["message"]
    assert "ASKONCE_SSL_CA_CERTS" in found["message"]
    await cache.disconnect()


async def protocols(cache: RedisCache) -> set[str]:
    return {it["resp"] for it in cache.client_list() if it["cmd"] != "acl"}


async def test_resp3_is_spoken(locked: Server) -> None:
    cache = await both_ways(url=locked.url)
    assert await protocols(cache) == {"3"}
    await cache.disconnect()


@pytest.mark.parametrize("user", [None, "app"])
async def test_a_server_that_refuses_hello_is_spoken_to_in_resp2(user: str | None) -> None:
    with valkey.server("--rename-command", "HELLO", "", *ACL) as server:
        cache = await both_ways(
            host=server.host, port=server.port, username=user, password=user and "pw"
        )
        assert await protocols(cache) == {"2"}
        assert await cache.async_increment("n", 1.5) == 1.5
        assert await cache.async_scan_iter("n") == ["n"]
        assert cache.info()["redis_version"]
        await cache.disconnect()


async def test_resp2_can_be_asked_for(locked: Server) -> None:
    cache = await both_ways(url=locked.url, protocol=2)
    assert await protocols(cache) == {"2"}
    await cache.disconnect()


async def test_no_more_connections_are_opened_than_allowed() -> None:
    server = valkey.shared()
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, max_connections=2, socket_timeout=valkey.PATIENCE)
        await asyncio.gather(*(cache.async_set_cache(str(n), n) for n in range(40)))
        assert proxy.connections <= 2
        await cache.disconnect()
    assert server.ask("DBSIZE") == 40


async def test_settings_say_how_to_connect(locked: Server) -> None:
    settings = CacheSettings(
        _env_file=None,
        type="redis",
        redis_url=locked.url,
        redis_protocol=2,
        redis_max_connections=7,
        backend_timeout=5,
    )
    cache = RedisCache.from_settings(settings)
    assert await cache.ping()
    assert cache._server.max_connections == 7
    assert cache._server.limit == 5
    assert cache._server.options["protocol"] == 2
    await cache.disconnect()


@pytest.mark.parametrize(
    "url",
    [
        "http://u:SECRET@host",
        "http://h/0",
        "redis.example.org:6379",
        "",
        "redis://:SECRET@host:notaport/0",
        "redis://:pw/SECRET@h/0",
        "redis://:12/SECRET@h/0",
        "redis://:12#SECRET@h/0",
        "redis://:12?SECRET@h/0",
        "redis://:12?SECRET=1@h/0",
        "redis://:SECRET@[::1/0",
        "redis://h/0?socket_timeout=SECRET",
        "redis://h/0?protocol=SECRET",
        "rediss://h/0?ssl_cert_reqs=SECRET",
        "redis://h/SECRET",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        RedisCache(url=url)
    assert str(refused.value) == (
        "ASKONCE_REDIS_URL: cannot be read. HINT: percent-encode the password;"
        " redis://[:password@]host[:port][/db]"
    )
    assert refused.value.__context__ is None  # nothing that quotes it is dragged along


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://", "localhost:6379"),
        ("redis://:p%2Fw@h:1/2?socket_timeout=3&ssl_cert_reqs=none", "h:1"),
        ("rediss://h", "h:6379"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_a_url_says_where_the_server_is(url: str, where: str) -> None:
    assert RedisCache(url=url)._server.where == where


def test_what_the_driver_does_not_take_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="colour"):
        RedisCache(colour="red")


def test_no_secret_is_in_a_repr() -> None:
    cache = RedisCache(url="redis://app:hidden@host:1/0", password="hidden2")
    assert "hidden" not in repr(cache._server) + repr(cache.redis_client)
