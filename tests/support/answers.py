"""What the stand-in provider says: every answer written out twice, in one piece and in chunks.

Nothing is derived from anything else, so that neither shape follows from what the cache thinks of
the other. An answer is chosen by the ``model`` that a request names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = dict[str, Any]


class Chat(NamedTuple):
    """An answer of the chat API.

    Args:
        choices: The choices of the whole answer.
        chunks: The choices of each chunk of its stream.
        members: What else the envelope has, in both shapes.
    """

    choices: Sequence[JSON]
    chunks: Sequence[Sequence[JSON]]
    members: JSON = {}  # noqa: RUF012  (a NamedTuple's default, never written to)


def _whole(message: JSON, finish: str = "stop", index: int = 0, **more: Any) -> JSON:
    message = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish, **more}


def _part(delta: JSON, finish: str | None = None, index: int = 0, **more: Any) -> list[JSON]:
    return [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **more}]


def _token(token: str, logprob: float) -> JSON:
    other = {"token": "?", "logprob": -4.25, "bytes": [63]}
    own = {"token": token, "logprob": logprob, "bytes": list(token.encode())}
    return {**own, "top_logprobs": [own, other]}


def _tokens(*tokens: JSON) -> JSON:
    return {"content": list(tokens), "refusal": None}


def _call(name: str, identity: str, arguments: str) -> JSON:
    function = {"name": name, "arguments": arguments}
    return {"id": identity, "type": "function", "function": function}


def _argued(index: int, arguments: str) -> list[JSON]:
    return _part({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


_ROLE: JSON = {"role": "assistant", "content": "", "refusal": None}
_SILENT_ROLE: JSON = {"role": "assistant", "content": None, "refusal": None}

CHAT: dict[str, Chat] = {
    "text": Chat(
        [_whole({"content": "Grüße, 世界! 🎉"})],
        [
            _part(_ROLE),
            _part({"content": "Grüße,"}),
            _part({"content": " 世界!"}),
            _part({"content": " 🎉"}),
            _part({}, "stop"),
        ],
    ),
    "cut-short": Chat(
        [_whole({"content": "Once upon"}, "length")],
        [_part(_ROLE), _part({"content": "Once upon"}), _part({}, "length")],
    ),
    "tool": Chat(
        [_whole({"tool_calls": [_call("weather", "call_1", '{"city":"Berlin"}')]}, "tool_calls")],
        [
            _part({**_SILENT_ROLE, "tool_calls": [{"index": 0, **_call("weather", "call_1", "")}]}),
            _argued(0, '{"ci'),
            _argued(0, 'ty":"Ber'),
            _argued(0, 'lin"}'),
            _part({}, "tool_calls"),
        ],
    ),
    "tools": Chat(
        [
            _whole(
                {
                    "content": "Let me look.",
                    "tool_calls": [
                        _call("weather", "call_1", '{"city":"Berlin"}'),
                        _call("weather", "call_2", '{"city":"Łódź"}'),
                    ],
                },
                "tool_calls",
            )
        ],
        [
            _part(_ROLE),
            _part({"content": "Let me "}),
            _part({"content": "look."}),
            _part({"tool_calls": [{"index": 0, **_call("weather", "call_1", "")}]}),
            _argued(0, '{"city":'),
            _argued(0, '"Berlin"}'),
            _part({"tool_calls": [{"index": 1, **_call("weather", "call_2", "")}]}),
            _argued(1, '{"city":"Łó'),
            _argued(1, 'dź"}'),
            _part({}, "tool_calls"),
        ],
    ),
    "choices": Chat(
        [_whole({"content": "heads"}), _whole({"content": "tails"}, index=1)],
        [
            _part(_ROLE),
            _part(_ROLE, index=1),
            _part({"content": "ta"}, index=1),
            _part({"content": "he"}),
            _part({"content": "ads"}),
            _part({"content": "ils"}, index=1),
            _part({}, "stop", index=1),
            _part({}, "stop"),
        ],
    ),
    "logprobs": Chat(
        [
            _whole(
                {"content": "Hi é"},
                logprobs=_tokens(_token("Hi", -0.1), _token(" é", -1.5e-05)),
            )
        ],
        [
            _part(_ROLE),
            _part({"content": "Hi"}, logprobs=_tokens(_token("Hi", -0.1))),
            _part({"content": " é"}, logprobs=_tokens(_token(" é", -1.5e-05))),
            _part({}, "stop"),
        ],
    ),
    "refusal": Chat(
        [_whole({"refusal": "I cannot help with that."})],
        [
            _part(_SILENT_ROLE),
            _part({"refusal": "I cannot "}),
            _part({"refusal": "help with that."}),
            _part({}, "stop"),
        ],
    ),
    "reasoning": Chat(
        [_whole({"reasoning_content": "Two and two.", "content": "Four."})],
        [
            _part({**_SILENT_ROLE, "reasoning_content": ""}),
            _part({"reasoning_content": "Two and "}),
            _part({"reasoning_content": "two."}),
            _part({"content": "Fo"}),
            _part({"content": "ur."}),
            _part({}, "stop"),
        ],
    ),
    "members": Chat(
        [_whole({"content": "As [1] says."})],
        [_part(_ROLE), _part({"content": "As [1] says."}), _part({}, "stop")],
        {
            "system_fingerprint": "fp_1",
            "service_tier": "default",
            "citations": ["https://example.org/1"],
        },
    ),
    "object": Chat(
        [_whole({"content": '{"city":"Berlin","degrees":21.5}'})],
        [
            _part(_ROLE),
            _part({"content": '{"city":"Ber'}),
            _part({"content": 'lin","degrees":21.5}'}),
            _part({}, "stop"),
        ],
    ),
    "filtered": Chat(
        [_whole({"content": "The"}, "content_filter")],
        [_part(_ROLE), _part({"content": "The"}), _part({}, "content_filter")],
    ),
}


class Text(NamedTuple):
    """An answer of the legacy completions API: its choices, and those of each chunk."""

    choices: Sequence[JSON]
    chunks: Sequence[Sequence[JSON]]


def _said(
    text: str, finish: str | None = None, index: int = 0, logprobs: JSON | None = None
) -> JSON:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}


def _scored(tokens: list[str], logprobs: list[float], offsets: list[int]) -> JSON:
    return {
        "tokens": tokens,
        "token_logprobs": logprobs,
        "top_logprobs": [{token: number} for token, number in zip(tokens, logprobs, strict=True)],
        "text_offset": offsets,
    }


TEXT: dict[str, Text] = {
    "text": Text(
        [_said(" upon a time", "length")],
        [[_said(" upon")], [_said(" a")], [_said(" time")], [_said("", "length")]],
    ),
    "prompts": Text(
        [_said(" one", "stop"), _said(" two", "stop", 1)],
        [
            [_said(" o")],
            [_said(" tw", index=1)],
            [_said("o", index=1)],
            [_said("ne")],
            [_said("", "stop")],
            [_said("", "stop", 1)],
        ],
    ),
    "logprobs": Text(
        [_said(" a b", "stop", logprobs=_scored([" a", " b"], [-0.5, -0.25], [4, 6]))],
        [
            [_said(" a", logprobs=_scored([" a"], [-0.5], [4]))],
            [_said(" b", "stop", logprobs=_scored([" b"], [-0.25], [6]))],
        ],
    ),
}
