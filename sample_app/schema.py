"""The smallest value that a JSON Schema allows, for tool calls and structured answers.

A model fills a schema with sense; the stand-in fills it with the question, so that the value is
valid for the schemas that people write for tools: objects, lists, enums, ``anyOf``, local ``$ref``.
What is not understood counts as "any text".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

Schema = dict[str, Any]

_DEEPEST = 8  # a schema that refers to itself ends here
_LONGEST = 8  # items in a list, whatever ``minItems`` says


def example(schema: object, text: str) -> Any:
    """Build a value that fits ``schema``, its strings being ``text``."""
    return _Filler(_schema(schema), text).value(_schema(schema), 0)


def _schema(found: object) -> Schema:
    return cast("Schema", found) if isinstance(found, dict) else {}


@dataclass(frozen=True)
class _Filler:
    root: Schema
    text: str

    def value(self, schema: Schema, depth: int) -> Any:
        for member in ("const", "default"):
            if member in schema:
                return schema[member]
        match schema:
            case _ if depth > _DEEPEST:
                return None
            case {"enum": [first, *_]}:
                return first
            case {"$ref": str(reference)}:
                return self.value(self.resolve(reference), depth + 1)
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
                return self.value(_schema(first), depth + 1)
            case _:
                return self.typed(schema, depth)

    def resolve(self, reference: str) -> Schema:
        found = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = _schema(found.get(step)) if step else found
        return found

    def typed(self, schema: Schema, depth: int) -> Any:
        match schema:
            case {"type": "object" | ["object", *_]} | {"properties": dict()}:
                return self.members(schema, depth)
            case {"type": "array" | ["array", *_]}:
                return self.items(schema, depth)
            case {"type": "integer" | "number" | ["integer" | "number", *_]}:
                return schema.get("minimum", 1)
            case {"type": "boolean" | ["boolean", *_]}:
                return True
            case {"type": "null"}:
                return None
            case _:
                return self.text

    def members(self, schema: Schema, depth: int) -> Schema:
        properties = _schema(schema.get("properties"))
        required = schema.get("required")
        names = cast("list[object]", required) if isinstance(required, list) else properties
        return {
            str(name): self.value(_schema(properties.get(str(name))), depth + 1) for name in names
        }

    def items(self, schema: Schema, depth: int) -> list[Any]:
        match schema.get("minItems"):
            case int(count):
                count = min(count, _LONGEST)
            case _:
                count = 1
        return [self.value(_schema(schema.get("items")), depth + 1) for _ in range(count)]
