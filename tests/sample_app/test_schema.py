from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.schema import example

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["type", "properties", "required", "items", "minItems", "enum", "anyOf", "$ref", "const"]
)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "integer"}, 1),
        ({"type": "number", "minimum": 5}, 5),
        ({"type": ["integer", "null"]}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"const": 7}, 7),
        ({"default": None}, None),
        ({"enum": ["red", "green"]}, "red"),
        ({"enum": []}, "text"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"allOf": [{"type": "integer"}]}, 1),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 1, 1]),
        ({"type": "array", "minItems": 0}, []),
        ({"type": "array", "minItems": 10**9}, ["text"] * 8),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "text"}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, 1),
        ({"$ref": "#/nowhere"}, "text"),
        ({}, "text"),
        (None, "text"),
        ("nonsense", "text"),
    ],
)
def test_the_value_fits_the_schema(schema: object, value: object) -> None:
    assert example(schema, "text") == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {"properties": {"child": {"$ref": "#"}}}
    depth, value = 0, example(tree, "text")
    while value is not None:
        depth, value = depth + 1, value["child"]
    assert 1 < depth < 20


@given(JSON | st.dictionaries(MEMBERS, JSON))
def test_any_schema_gets_some_json(schema: object) -> None:
    json.dumps(example(schema, "text"))
