"""Tools that the provider runs: what they find is true now, and may not be so the next time."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from askonce.calls.lossless import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLERS_OWN: Final = ("function", "custom")
"""Types of tools that the caller runs. Of any other type it is not known who does."""

HOSTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "web_search_options": "OpenAI: https://platform.openai.com/docs/guides/tools-web-search",
        "data_sources": "Azure: https://learn.microsoft.com/azure/ai-services/openai/references/"
        "on-your-data",
        "plugins": "OpenRouter: https://openrouter.ai/docs/guides/features/plugins",
        "search_parameters": "xAI: https://docs.x.ai/docs/guides/live-search",
        "compound_custom": "Groq: https://console.groq.com/docs/api-reference",
        "search_settings": "Groq: https://console.groq.com/docs/api-reference",
        "enable_search": "Qwen: https://help.aliyun.com/zh/model-studio/web-search",
    }
)
"""Members that switch such a tool on, whatever object they have, each with its source."""
_SWITCHES: Final = frozenset(HOSTED)


def uses_hosted_tools(body: Mapping[str, Any]) -> bool:
    """Say whether a chat request may make the provider run a tool."""
    if not _SWITCHES.isdisjoint(body) and _switched_on(body):
        return True
    tools = body.get("tools")
    return is_list(tools) and not all(map(_is_callers_own, tools))


def _switched_on(body: Mapping[str, Any]) -> bool:
    return any(body[name] not in (None, False, []) for name in _SWITCHES.intersection(body))


def _is_callers_own(tool: Any) -> bool:
    return is_object(tool) and tool.get("type") in CALLERS_OWN
