"""Chat completions: https://platform.openai.com/docs/api-reference/chat, and all who speak it.

Bypassed, with these reasons:

- ``wrong-type``: a parameter that is read here has a type that the API does not know.
- ``store``: the request makes a record at the provider, and a hit would make none.
- ``hosted-tools``: the provider may run tools (unless ``cache_hosted_tools``).
- ``audio-output``: audio comes in another encoding when it is streamed, and its id expires.
- ``number-range``: a number cannot be keyed exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from askonce.calls import complete, hosted, params, shapes
from askonce.calls.base import Ask, Bypass, Complete, Incomplete, KeyOptions, Rendition, Suffix
from askonce.calls.chat_form import CHAT
from askonce.calls.keys import Grammar
from askonce.calls.lossless import is_list
from askonce.calls.openai_error import error_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.entry import Answer, Entry

GRAMMAR: Final = Grammar(
    ignored=params.IGNORED,
    ignored_when_shared=params.IGNORED_WHEN_SHARED,
    numeric=frozenset(
        {
            "frequency_penalty",
            "max_completion_tokens",
            "max_tokens",
            "n",
            "presence_penalty",
            "seed",
            "temperature",
            "top_logprobs",
            "top_p",
        }
    ),
    numeric_maps=frozenset({"logit_bias"}),
    ordered=params.ORDERED,
)

TYPES: Final[params.Types] = {
    **params.TYPES,
    "messages": is_list,
    "store": params.is_flag,
    "tools": params.is_list_or_null,
    "modalities": params.is_list_or_null,
}


class Completion:
    """The call type ``completion``."""

    name: ClassVar[str] = "completion"
    suffixes: ClassVar[tuple[Suffix, ...]] = (Suffix("/chat/completions"),)

    def ask(
        self, body: Mapping[str, Any], deployment: str | None, options: KeyOptions
    ) -> Ask | Bypass | None:
        """Read a request. None: without ``messages``, or a model, it is none of this API."""
        if not params.has_shape(body, "messages", deployment):
            return None
        reason = _reason(body, options)
        if reason is not None:
            return Bypass(reason)
        return params.ask(body, deployment, options, GRAMMAR, body.get("n") or 1)

    def verdict(self, ask: Ask, answer: Answer) -> Complete | Incomplete:
        """Say whether ``answer`` has every choice that was asked for, finished."""
        return complete.verdict(ask, answer, CHAT)

    def render(self, entry: Entry, ask: Ask) -> Rendition | None:
        """Build the shape that ``ask`` wants. None: this entry cannot serve it."""
        return shapes.rendition(entry, ask, CHAT)

    def error(self, message: str, *, code: str, param: str | None = None) -> bytes:
        """A JSON error body as OpenAI's SDKs read it."""
        return error_body(message, code=code, param=param)


def _reason(body: Mapping[str, Any], options: KeyOptions) -> str | None:
    """Why a request must not be cached, if there is a reason."""
    if not params.is_well_typed(body, TYPES):
        return "wrong-type"
    if body.get("store") is True:
        return "store"
    if not options.cache_hosted_tools and hosted.uses_hosted_tools(body):
        return "hosted-tools"
    if body.get("audio") is not None or "audio" in (body.get("modalities") or ()):
        return "audio-output"
    return None
