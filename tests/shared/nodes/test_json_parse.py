from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        (" [] ", []),
        ("null", None),
        ('"text"', "text"),
        ("\ufeff{}", {}),
        ("12345678901234567890", 12345678901234567890),
        ('"\\u00e9"', "é"),
    ],
)
def test_json(text: str, value: Any) -> None:
    assert evaluate("json_parse", {}, {"input": text}) == {"output": value}


@pytest.mark.parametrize("value", [{"a": 1}, [1], 5, None, True])
def test_what_is_parsed_already_passes(value: Any) -> None:
    assert evaluate("json_parse", {}, {"input": value}) == {"output": value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1"),
        ("{'a': 1}", "line 1, column 2"),
        ('{\n"a": }', "line 2, column 6"),
        ("[1] [2]", "Extra data"),
        ("NaN", "NaN is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ("1" * 5_000, "not JSON"),
        ("[" * 100_000, ""),
    ],
)
def test_what_is_no_json(text: str, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("json_parse", {}, {"input": text})
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)
    assert said in caught.value.message
