from __future__ import annotations

import json

import pytest

from shared.answers import size_of


@pytest.mark.parametrize(
    "text", ["", "plain", 'a "quote" \\ and ü', "a,b\r\n\t1\n", "\x00\x01\x1f\x7f\b\f", "\n" * 1000]
)
def test_a_body_is_as_large_as_it_is_in_json(text):
    assert size_of(text.encode()) == len(json.dumps(text, ensure_ascii=False).encode()) - 2
