"""The operator's wishes, told to the rooms that know no settings: ``policy`` and ``calls``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.calls.base import KeyOptions
from askonce.policy.options import Options

if TYPE_CHECKING:
    from askonce.settings import CacheSettings


def key_options(settings: CacheSettings) -> KeyOptions:
    """Return what the settings say of keys."""
    return KeyOptions(
        share=settings.share_between_callers,
        ignored_params=frozenset(settings.ignored_params),
        caching_groups=tuple(tuple(group) for group in settings.caching_groups),
        cache_hosted_tools=settings.cache_hosted_tools,
    )


def policy_options(settings: CacheSettings) -> Options:
    """Return what the settings say of policy."""
    return Options(
        mode=settings.mode,
        ttl=settings.effective_ttl,
        max_ttl=settings.max_ttl,
        stale_while_revalidate=settings.stale_while_revalidate,
        stale_if_error=settings.stale_if_error,
        cacheable_statuses=frozenset(settings.cacheable_statuses),
        respect_response_cache_control=settings.respect_response_cache_control,
        ignored_set_cookies=frozenset(settings.ignored_set_cookies),
        share_between_callers=settings.share_between_callers,
        max_response_bytes=settings.max_response_bytes,
    )
