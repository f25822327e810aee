"""Every setting reaches boto3, and what is not set is short and plain."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from askonce.caching import s3_cache
from askonce.caching._s3_client import make_config, threads_of
from askonce.caching.s3_cache import S3Cache
from askonce.errors import BackendError, MissingExtraError, SettingsError
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.s3_servers import S3Server

    MakeCache = Callable[..., S3Cache]

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
