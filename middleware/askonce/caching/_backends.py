"""From the settings to a backend: each one's module is imported when it is first asked for."""

from __future__ import annotations

from difflib import SequenceMatcher
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from askonce._settings.names import nearest, variable
from askonce.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from askonce.caching.base_cache import BaseCache
    from askonce.settings import CacheSettings

_HOMES: Final = {
    "local": ("in_memory_cache", "InMemoryCache"),
    "disk": ("disk_cache", "DiskCache"),
    "redis": ("redis_cache", "RedisCache"),
    "s3": ("s3_cache", "S3Cache"),
    "dual": ("dual_cache", "DualCache"),
}
"""Type to module and class. A Redis Cluster has a class of its own."""

_CLUSTER: Final = ("redis_cluster_cache", "RedisClusterCache")


def backend(
    settings: CacheSettings, clock: Callable[[], float], driver: Mapping[str, Any]
) -> BaseCache:
    """Make the backend that the settings name.

    Args:
        settings: What the operator wants.
        clock: Returns Unix time in seconds.
        driver: Keywords that are no settings: they go to the backend's driver.

    Raises:
        SettingsError: There is no such backend, or the driver does not take a keyword.
        MissingExtraError: The backend's driver is not installed.
    """
    kind = _class(settings)
    try:
        made: BaseCache = kind.from_settings(settings, clock=clock, **driver)
    except TypeError as error:
        if not driver:
            raise
        listed = ", ".join(driver)
        raise SettingsError(
            f"not a setting, and not for the driver of {settings.type!r} either: {listed} ({error})"
        ) from error
    return made


def parted(keywords: Mapping[str, Any], fields: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Part keywords into settings and what is for the driver.

    Args:
        keywords: What a caller gave.
        fields: The names of all settings.

    Raises:
        SettingsError: A keyword is no setting, but one slip of the pen away from one.
    """
    known = frozenset(fields)
    slips = [name for name in keywords if name not in known and _is_slip(name, known)]
    if slips:
        raise SettingsError(
            "\n".join(f"{name} is no setting{nearest(name, known)}" for name in slips)
        )
    settings = {name: value for name, value in keywords.items() if name in known}
    return settings, {name: value for name, value in keywords.items() if name not in known}


def _class(settings: CacheSettings) -> Any:
    home = _HOMES.get(settings.type)
    if home is None:
        raise SettingsError(
            f"{variable('type')}: this version has no backend for {settings.type!r}"
        )
    if settings.type == "redis" and settings.redis_startup_nodes:
        home = _CLUSTER
    return getattr(import_module(f"askonce.caching.{home[0]}"), home[1])


def _is_slip(name: str, known: Iterable[str]) -> bool:
    """One letter too many, too few, wrong, or two exchanged."""
    return any(_edits(name, other) == 1 for other in known)


def _edits(name: str, other: str) -> int:
    if abs(len(name) - len(other)) > 1:
        return 2
    same = sum(block.size for block in SequenceMatcher(None, name, other).get_matching_blocks())
    return max(len(name), len(other)) - same
