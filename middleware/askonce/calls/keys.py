"""Keys: two requests that the app could tell apart never share one.

An entry's key is a hash over everything that tells requests apart: who asks, where, in which
namespace, and the digest of the body's canonical form. It starts with the namespace in clear text,
so that one namespace can be found in a store and removed. A body member that nobody has documented
as harmless is keyed.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec

from askonce.calls.base import KeyOptions
from askonce.calls.canonical import canonical_form, exact, exact_values, identity, packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.entry import Headers

FORMAT: Final = 1
"""Version of everything hashed here; it is part of each key, so a change forgets old entries."""

_AS_DOCUMENTED: Final = KeyOptions()

Groups: TypeAlias = tuple[tuple[str, ...], ...]
"""``caching_groups``: names of models or deployments that share answers."""


class Grammar(msgspec.Struct, frozen=True, eq=False):
    """What an API's documentation says of its body members, as far as keys go.

    A member that is named nowhere here is keyed by its exact value.

    Args:
        ignored: Members that are left out of the key, each with the reason why it may be.
        ignored_when_shared: The same, if the operator lets callers share answers.
        numeric: Members that are numbers by documentation, compared by exact value.
        numeric_maps: Members that map names to such numbers, for example ``logit_bias``.
        ordered: Members in which the order of objects' members counts.
    """

    ignored: Mapping[str, str]
    ignored_when_shared: Mapping[str, str] = {}
    numeric: frozenset[str] = frozenset()
    numeric_maps: frozenset[str] = frozenset()
    ordered: frozenset[str] = frozenset()


class Asker(msgspec.Struct, frozen=True):
    """Who asks, and in which part of the store this caller's answers are.

    Args:
        namespace: The operator's namespace.
        child: The client's namespace inside it, or None.
        credentials: The credentials header fields; empty if callers share.
        caller: What else tells callers apart: an authenticated user, a Python caller's name.
        keyed: Header fields that change the answer.
    """

    namespace: str
    child: str | None = None
    credentials: Headers = ()
    caller: tuple[str, ...] = ()
    keyed: Headers = ()


class Place(msgspec.Struct, frozen=True):
    """Where a request goes, and how its body is labelled.

    A Python call leaves all of it empty. HTTP requests have a path, so the two never meet.

    Args:
        method: HTTP's method.
        host: The Host field.
        path: The decoded path.
        query: The query, without its question mark.
        content_type: The normal form of Content-Type.
        content_encoding: The Content-Encoding field.
        deployment: Azure's deployment name as it stands in ``path``, if there is one.
        raw_path: The path as it was sent, where decoding it may have lost a difference.
        root_path: Where the app is mounted.
    """

    method: str = ""
    host: bytes = b""
    path: str = ""
    query: bytes = b""
    content_type: bytes = b""
    content_encoding: bytes = b""
    deployment: str | None = None
    raw_path: bytes = b""
    root_path: str = ""


def digest(members: Mapping[str, Any], grammar: Grammar, options: KeyOptions) -> bytes | None:
    """Hash the canonical form of a body, less what may be left out.

    Args:
        members: The body's members as ``parse`` reads them; if they come from elsewhere,
            ``canonical.is_json`` must hold for them.
        grammar: What the API says of its members.
        options: The operator's word on keys.

    Returns:
        32 bytes, or None if the body has no exact canonical form and must not be cached.
    """
    ignored, rare = _sorts(grammar, options)
    kept = {name: value for name, value in members.items() if name not in ignored}
    for name in grammar.numeric.intersection(kept):
        kept[name] = exact(kept[name])
    ordered = {} if rare.isdisjoint(kept) else _settled(kept, grammar, options)
    form = canonical_form(kept, ordered)
    return None if form is None else sha256(form).digest()


# Both are made once, at start-up, and asked for with every request.
@lru_cache(maxsize=128)
def _sorts(grammar: Grammar, options: KeyOptions) -> tuple[frozenset[str], frozenset[str]]:
    """The members that are left out, and those that few requests have and need more work."""
    ignored = options.ignored_params | grammar.ignored.keys()
    if options.share:
        ignored |= grammar.ignored_when_shared.keys()
    rare = grammar.numeric_maps | grammar.ordered
    return ignored, rare | {"model"} if options.caching_groups else rare


def _settled(kept: dict[str, Any], grammar: Grammar, options: KeyOptions) -> dict[str, Any]:
    """Give maps and model their keyed values; take out and return what is ordered."""
    for name in grammar.numeric_maps.intersection(kept):
        kept[name] = exact_values(kept[name])
    if options.caching_groups and "model" in kept:
        kept["model"] = grouped(kept["model"], options.caching_groups)
    return {name: kept.pop(name) for name in grammar.ordered.intersection(kept)}


def grouped(name: Any, groups: Groups) -> Any:
    """Return the identity of the group that ``name`` is in, else ``name`` itself.

    The first group that names it wins; the order inside a group does not count.
    """
    return next((identity(group) for group in groups if name in group), name)


class KeyMaker:
    """Makes the keys of one asker's questions at one place: only their bodies differ.

    Args:
        asker: Who asks.
        place: Where the requests go.
        call_type: Canonical name of the call type.
        options: The operator's word on keys. What it leaves out of them is in the key itself, so
            that an answer that was stored under one word is not found under another.
    """

    __slots__ = ("_begun", "_namespace")

    def __init__(
        self, asker: Asker, place: Place, call_type: str, options: KeyOptions = _AS_DOCUMENTED
    ) -> None:
        namespace = physical_namespace(asker.namespace, asker.child)
        who = (asker.credentials, [_utf8(part) for part in asker.caller], asker.keyed)
        path = (_utf8(place.root_path), _path(place, options.caching_groups), place.raw_path)
        where = (place.method, place.host, path, place.query)
        what = (call_type, place.content_type, place.content_encoding)
        left_out = (options.share, sorted(_utf8(name) for name in options.ignored_params))
        self._namespace = f"{namespace}:"
        self._begun = sha256(packed((FORMAT, namespace, who, where, what, left_out)))

    def key(self, body: bytes | str) -> str:
        """Make the key that an answer is stored under.

        Args:
            body: The body's digest, or the string that an operator's own key function made of the
                body; the one never equals the other.

        Returns:
            ``<namespace>:<hex>`` or ``<namespace>/<child>:<hex>``, with 64 hexadecimal digits.
        """
        hashed = self._begun.copy()
        # What was hashed so far says where it ends, so the two cannot run into each other.
        hashed.update(packed(body if isinstance(body, bytes) else [_utf8(body)]))
        return self._namespace + hashed.hexdigest()


def _path(place: Place, groups: Groups) -> Any:
    if place.deployment is None:
        return _utf8(place.path)
    group = grouped(place.deployment, groups)
    if group is place.deployment:
        return _utf8(place.path)
    before, _, after = place.path.rpartition(f"/deployments/{place.deployment}/")
    return (_utf8(before), group, _utf8(after))


def _utf8(value: str) -> bytes:
    """Encode what comes from a server or an app, which may leave lone surrogates in it."""
    return value.encode("utf-8", "surrogatepass")


def physical_namespace(namespace: str, child: str | None = None) -> str:
    """Write a namespace as it stands before the colon of a physical key.

    Args:
        namespace: The operator's namespace.
        child: The client's namespace inside it, or None.

    Returns:
        Both percent-encoded but for the unreserved characters of RFC 3986 section 2.3, so that
        neither holds a separator (``:``, ``/``) or a wildcard, and no two look alike.
    """
    encoded = _quoted(namespace)
    return encoded if child is None else f"{encoded}/{_quoted(child)}"


@lru_cache(maxsize=1024)
def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")
