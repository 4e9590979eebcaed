from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadRequest, TooLarge
from stepfunctions.exports.yaml_text import MAX_BYTES, dumped, loaded

ODD = [
    "yes",
    "no",
    "null",
    "~",
    "12:30:00",
    "1e3",
    "0o17",
    "010",
    "1_000",
    ".5",
    "2026-01-05",
    "=",
    "<<",
    "*a",
    "&a",
    "- x",
]
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20) | st.sampled_from(ODD)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON)
def test_what_is_written_is_read_as_it_was(value: Any):
    assert loaded(dumped(value).encode()) == value


@settings(deadline=None)
@given(JSON)
def test_others_read_the_same(value: Any):
    assert yaml.safe_load(dumped(value)) == value


def test_the_same_value_twice_is_no_alias():
    shared = {"a": [1]}
    assert "*" not in dumped([shared, shared])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 2026-01-05", {"a": "2026-01-05"}),
        ("a: 010", {"a": "010"}),
        ("a: .inf", {"a": ".inf"}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: [true, null, ~, 1, 1.5]", {"a": [True, None, None, 1, 1.5]}),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
        ("", None),
    ],
)
def test_texts_of_others(text: str, value: Any):
    assert loaded(text.encode()) == value


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        b"a: *nothing",
        b"<<: &a {b: 1}\nc: *a",
        b"[" * 5_000,
        b"- " * 5_000,
        b"a: !!python/object/apply:os.system [ls]",
        b"a: !!binary aGk=",
        b"a: !!set {x}",
        b"a: !!timestamp 2026-01-05",
        b"1: x",
        b"true: x",
        b"[a]: x",
        b"a: !!float .nan",
        b"a: 1e999",
        b"a: b: c",
        b"a: \x00",
        b"\xff\xfe",
        b"--- a\n--- b",
        b'a: "\\ud800"',
    ],
)
def test_what_is_no_json_is_refused(body: bytes):
    with pytest.raises(BadRequest):
        loaded(body)


def test_too_much_is_refused_before_it_is_read():
    with pytest.raises(TooLarge):
        loaded(b"a" * (MAX_BYTES + 1))
