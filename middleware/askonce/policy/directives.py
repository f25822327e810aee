"""What a client says about caching, in its ``Cache-Control`` header and its ``cache`` object.

Both are heard into one set of :class:`Directives`. Whatever is said twice, on two lines, in two
members or in header and object, counts as the stricter of the two: the smaller number (for
``min-fresh`` the larger), and every flag that was raised. Two namespaces that differ are a
conflict: nobody can say which entries may answer.

The header is never in error. Unknown directives are ignored (RFC 9111 section 5.2.3), and a limit
that cannot be read counts as the strictest one: 0, for ``min-fresh`` infinity. ``use-cache`` opts
in, so it counts only as written, without an argument; a ``namespace`` that is empty or unreadable
is a conflict, because the isolation it asked for cannot be given. In the object, which is our own
format, whatever is wrong is an error that names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from askonce.policy.cache_object import DirectiveError, hear
from askonce.policy.said import Said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SILENT", "DirectiveError", "Directives", "read"]


class Directives(msgspec.Struct, frozen=True):
    """What one request says. Every default means "nothing said"; all times are seconds.

    Args:
        no_cache: Do not answer from the store (RFC 9111 section 5.2.1.4).
        no_store: Store nothing of this exchange (section 5.2.1.5).
        only_if_cached: Answer from the store or not at all (section 5.2.1.7).
        use_cache: Opt in where the operator's mode is ``default_off``.
        max_age: Accept nothing older: the smaller of ``max-age`` and ``s-maxage``. 0 also sets
            ``no_cache``.
        max_stale: Accept nothing that is stale by more; infinite if said without a number.
        min_fresh: Accept only what will still be fresh after so long.
        stale_if_error: Instead of a failure, accept nothing that is stale by more
            (RFC 5861 section 4).
        ttl: Keep this answer for so long.
        namespace: Look and store in this child of the operator's namespace.
        conflict: True if the namespace cannot be told; ``namespace`` is then None.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    use_cache: bool = False
    max_age: float | None = None
    max_stale: float | None = None
    min_fresh: float | None = None
    stale_if_error: float | None = None
    ttl: float | None = None
    namespace: str | None = None
    conflict: bool = False


SILENT: Final = Directives()
"""The directives of a request that says nothing: always this object, so that ``is`` tells."""


def read(values: Sequence[bytes], control: Mapping[str, Any] | None) -> Directives | DirectiveError:
    """Read a request's Cache-Control header and its body's ``cache`` object together.

    Args:
        values: The Cache-Control field lines, as many as there are.
        control: The ``cache`` object as jiter parsed it, None if the body has none. Numbers are
            int or ``jiter.LosslessFloat``; Python callers may give float.

    Returns:
        ``SILENT`` (that very object) if nothing was said, else the directives; or the first
        error in the object. Never raises, whatever the bytes.
    """
    if not values and not control:
        return SILENT
    said = Said()
    said.header(values)
    if control and (error := hear(said, control)):
        return error
    return Directives(**said.fields) if said.fields else SILENT
