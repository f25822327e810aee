"""What every call type says of itself, and the values that pass between calls and the journey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.entry import Answer, Entry, Shape


class Suffix(msgspec.Struct, frozen=True):
    """An API's path suffix, for example ``/chat/completions``.

    Args:
        path: The suffix, with its leading slash.
        versioned: True if it counts only after a version segment or on Azure's paths.
    """

    path: str
    versioned: bool = False


class Route(msgspec.Struct, frozen=True, eq=False):
    """A path that is ours. Compared by identity: it is a part of memo keys.

    Args:
        call: The call type that answers there.
        deployment: Azure's deployment name from the path, if there is one.
    """

    call: CallType
    deployment: str | None = None


class KeyOptions(msgspec.Struct, frozen=True, eq=False):
    """The operator's word on keys, taken from the settings. Compared by identity, like Grammar.

    Args:
        share: ``share_between_callers``.
        ignored_params: Body members left out of the key beyond the documented ones.
        caching_groups: Groups of model names that share answers.
        cache_hosted_tools: True if tools that the provider runs may be cached.
    """

    share: bool = False
    ignored_params: frozenset[str] = frozenset()
    caching_groups: tuple[tuple[str, ...], ...] = ()
    cache_hosted_tools: bool = False


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A request that may be cached.

    Args:
        shape: The shape wanted.
        usage_due: True if the asker is due a usage: a plain request, or ``include_usage``.
        digest: SHA-256 of the canonical form of all keyed body members.
        expected: How many items (choices, embeddings, ...) a complete answer has.
        model: The model asked for, or the deployment; for events, never for keys.
        withheld: Body members that are left out of the key only because callers share, whether
            this body has them or not; an answer whose top-level object has one is not stored.
    """

    shape: Shape
    usage_due: bool
    digest: bytes
    expected: int
    model: str
    withheld: frozenset[str] = frozenset()


class Bypass(msgspec.Struct, frozen=True):
    """A request of ours that may not be cached.

    Args:
        reason: A token for ``detail=`` in Cache-Status, for example ``store``.
    """

    reason: str


class Complete(msgspec.Struct, frozen=True):
    """The answer is whole and may be kept, as far as its API is concerned."""


class Incomplete(msgspec.Struct, frozen=True):
    """The answer may not be kept.

    Args:
        reason: A token, for example ``finish-reason``.
    """

    reason: str


class Rendition(msgspec.Struct, frozen=True, gc=False):
    """An entry in the shape asked for.

    Args:
        body: What to send.
        shape: The shape of ``body``.
        converted: True if ``body`` was built from the other shape, so that the stored
            Content-Type, validators and digests no longer describe it.
    """

    body: bytes
    shape: Shape
    converted: bool = False


class CallType(Protocol):
    """One API: its routes, what of a body is keyed, when an answer is complete, both shapes.

    Implementations are stateless and pure: no I/O, no clock.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[Suffix, ...]]

    def ask(
        self, body: Mapping[str, Any], deployment: str | None, options: KeyOptions
    ) -> Ask | Bypass | None:
        """Read a parsed JSON object (its ``cache`` object already taken out).

        Returns None if the object does not have this API's shape, so that it is not ours.
        """
        ...

    def verdict(self, ask: Ask, answer: Answer) -> Complete | Incomplete:
        """Say whether ``answer`` is a complete answer to ``ask``."""
        ...

    def render(self, entry: Entry, ask: Ask) -> Rendition | None:
        """Build the shape that ``ask`` wants. None: this entry cannot serve it, a miss."""
        ...

    def error(self, message: str, *, code: str, param: str | None = None) -> bytes:
        """A JSON error body in this API's own format."""
        ...
