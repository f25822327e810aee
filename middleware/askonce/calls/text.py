"""Text completions: https://platform.openai.com/docs/api-reference/completions.

Bypassed, with these reasons:

- ``wrong-type``: a parameter that is read here has a type that the API does not know.
- ``number-range``: a number cannot be keyed exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from askonce.calls import complete, params, shapes
from askonce.calls.base import Ask, Bypass, Complete, Incomplete, KeyOptions, Rendition, Suffix
from askonce.calls.deltas import appended, collected, harshest, nested, once
from askonce.calls.form import Cut, Form
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
            "best_of",
            "frequency_penalty",
            "logprobs",
            "max_tokens",
            "n",
            "presence_penalty",
            "seed",
            "temperature",
            "top_p",
        }
    ),
    numeric_maps=frozenset({"logit_bias"}),
    ordered=params.ORDERED,
)


def cut_text(text: Any) -> Cut | None:
    """Cut a text: all of it, then an empty end."""
    return Cut([text, ""], 0) if isinstance(text, str) else None


TEXT: Final = Form(
    whole="text_completion",
    chunk="text_completion",
    content="text",
    delta="text",
    choice={
        "text": appended,
        "finish_reason": once,
        "logprobs": nested(
            {
                "tokens": collected,
                "token_logprobs": collected,
                "top_logprobs": collected,
                "text_offset": collected,
            }
        ),
        "content_filter_results": harshest,
        "content_filter_offsets": None,  # positions in the stream
        "obfuscation": None,
    },
    cut=cut_text,
)


class TextCompletion:
    """The call type ``text_completion``."""

    name: ClassVar[str] = "text_completion"
    suffixes: ClassVar[tuple[Suffix, ...]] = (Suffix("/completions", versioned=True),)

    def ask(
        self, body: Mapping[str, Any], deployment: str | None, options: KeyOptions
    ) -> Ask | Bypass | None:
        """Read a request. None: without ``prompt``, or a model, it is none of this API."""
        if not params.has_shape(body, "prompt", deployment):
            return None
        prompts = _prompts(body["prompt"])
        if not prompts or not params.is_well_typed(body, params.TYPES):
            return Bypass("wrong-type")
        return params.ask(body, deployment, options, GRAMMAR, prompts * (body.get("n") or 1))

    def verdict(self, ask: Ask, answer: Answer) -> Complete | Incomplete:
        """Say whether ``answer`` has every choice that was asked for, finished."""
        return complete.verdict(ask, answer, TEXT)

    def render(self, entry: Entry, ask: Ask) -> Rendition | None:
        """Build the shape that ``ask`` wants. None: this entry cannot serve it."""
        return shapes.rendition(entry, ask, TEXT)

    def error(self, message: str, *, code: str, param: str | None = None) -> bytes:
        """A JSON error body as OpenAI's SDKs read it."""
        return error_body(message, code=code, param=param)


def _prompts(prompt: Any) -> int:
    """How many prompts a request has; 0 if they are of a type that the API does not know.

    ``n`` choices come back for each, whatever ``best_of`` and ``echo`` say. No prompt at all (null)
    is one too: the model then begins a new document.
    """
    if prompt is None or isinstance(prompt, str) or _are(int, prompt):
        return 1
    if _are(str, prompt) or (_are(list, prompt) and all(_are(int, tokens) for tokens in prompt)):
        return len(prompt)
    return 0


def _are(kind: type, values: Any) -> bool:
    """A list of some values, all of one type (true and false are no integers here)."""
    return is_list(values) and bool(values) and all(type(value) is kind for value in values)
