"""What chat and text completions say alike in their requests.

A body that lacks what makes it a request of the API is not ours; one that has it in a wrong type is
for the app to answer. So each parameter that is read here has its type in a table, and a request
that does not keep to it is bypassed rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from askonce.calls.base import Ask, Bypass, KeyOptions
from askonce.calls.keys import Grammar, digest
from askonce.calls.lossless import is_list, is_object

Body: TypeAlias = Mapping[str, Any]
Types: TypeAlias = Mapping[str, Callable[[Any], bool]]

IGNORED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "stream": "one entry serves both shapes",
        "stream_options": "usage is put in or taken out; padding is not part of the answer",
        "prompt_cache_key": "routes to a machine whose prompt cache is warm",
        "prompt_cache_retention": "how long the provider's own prompt cache is kept",
        "prompt_cache_options": "where and how long the provider's own prompt cache is kept",
    }
)
"""https://platform.openai.com/docs/api-reference/chat/create"""

IGNORED_WHEN_SHARED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "user": "says who asks, for abuse reports; the operator lets callers share",
        "safety_identifier": "says who asks, for abuse reports; the operator lets callers share",
        "metadata": "labels for the provider's dashboard; the operator lets callers share",
    }
)

ORDERED: Final = frozenset({"tools", "functions", "response_format"})
"""They hold JSON schemas, and models answer in the order of the schema."""


def is_flag(value: Any) -> bool:
    """Say whether a JSON value is true, false or null."""
    return value is None or value is True or value is False


def is_text(value: Any) -> bool:
    """Say whether a JSON value is a string."""
    return isinstance(value, str)


def is_list_or_null(value: Any) -> bool:
    """Say whether a JSON value is an array or null."""
    return value is None or is_list(value)


def is_count(value: Any) -> bool:
    """Say whether a JSON value is a positive integer, or null for the default."""
    return value is None or (type(value) is int and value > 0)


def is_stream_options(value: Any) -> bool:
    """Say whether a JSON value can be ``stream_options``."""
    return value is None or (is_object(value) and is_flag(value.get("include_usage")))


TYPES: Final[Types] = MappingProxyType(
    {
        "model": is_text,
        "stream": is_flag,
        "stream_options": is_stream_options,
        "n": is_count,
    }
)
"""The parameters that both APIs have and that are read here, each with its type."""


def has_shape(body: Body, required: str, deployment: str | None) -> bool:
    """Say whether a body has ``required`` and says which model: by itself or by the path."""
    return required in body and (deployment is not None or "model" in body)


def is_well_typed(body: Body, types: Types) -> bool:
    """Say whether every parameter of ``types`` that the body has is of its type."""
    for name, is_right in types.items():  # noqa: SIM110  (a generator costs more than the rest)
        if name in body and not is_right(body[name]):
            return False
    return True


def ask(
    body: Body, deployment: str | None, options: KeyOptions, grammar: Grammar, expected: int
) -> Ask | Bypass:
    """Make the Ask of a request whose parameters are known to be of their types.

    Args:
        body: The members of the body.
        deployment: Azure's deployment name from the path, if there is one.
        options: The operator's word on keys.
        grammar: What the API says of its members.
        expected: How many choices a complete answer has.

    Returns:
        The Ask; or a Bypass ``number-range`` if the body has a number that cannot be keyed exactly.
    """
    digested = digest(body, grammar, options)
    if digested is None:
        return Bypass("number-range")
    streamed = body.get("stream") is True
    return Ask(
        shape="stream" if streamed else "plain",
        usage_due=not streamed or _includes_usage(body.get("stream_options")),
        digest=digested,
        expected=expected,
        model=body.get("model", deployment or ""),
        withheld=frozenset(grammar.ignored_when_shared) if options.share else frozenset(),
    )


def _includes_usage(stream_options: Any) -> bool:
    return is_object(stream_options) and stream_options.get("include_usage") is True
