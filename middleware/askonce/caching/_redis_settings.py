"""From the settings to the parameters of a cache on Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from pydantic import SecretStr

    from askonce.settings import CacheSettings

_TLS: Final = (
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_check_hostname",
)


def parameters(settings: CacheSettings) -> dict[str, Any]:
    """Return keywords of :class:`~askonce.caching.redis_cache.RedisCache`.

    Args:
        settings: What the operator wants.
    """
    return {
        "url": _clear(settings.redis_url),
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.username,
        "password": _clear(settings.password),
        "credential_provider": settings.redis_credential_provider,
        "sentinel_nodes": settings.sentinel_nodes,
        "service_name": settings.service_name,
        "ssl": settings.ssl,
        **{field: getattr(settings, field) for field in _TLS},
        "namespace": quote(settings.namespace, safe=""),
        "default_ttl": settings.effective_ttl,
        "redis_flush_size": settings.redis_flush_size,
        "socket_timeout": settings.effective_backend_timeout,
        "socket_connect_timeout": settings.redis_connect_timeout,
        "max_connections": settings.redis_max_connections,
        "protocol": settings.redis_protocol,
        "retries": settings.redis_retries,
        "health_check_interval": settings.redis_health_check_interval,
    }


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
