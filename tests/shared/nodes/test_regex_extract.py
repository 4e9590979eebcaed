from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits, problems


def found(pattern: str, text: Any, **config: Any) -> list[Any]:
    matches: list[Any] = evaluate("regex_extract", {"pattern": pattern, **config}, {"text": text})["matches"]
    return matches


@pytest.mark.parametrize(
    ("pattern", "text", "config", "texts"),
    [
        (r"\d+", "1 22 333", {}, ["1", "22", "333"]),
        (r"\d+", "1 22 333", {"max_matches": 2}, ["1", "22"]),
        ("ab", "abABaB", {"flags": "i"}, ["ab", "AB", "aB"]),
        ("^a.", "ab\nac", {}, ["ab"]),
        ("^a.", "ab\nac", {"flags": "m"}, ["ab", "ac"]),
        ("a.b", "a\nb", {}, []),
        ("A.B", "a\nb", {"flags": "si"}, ["a\nb"]),
        ("x*", "ax", {}, ["", "x"]),
        ("é+", "caféé", {}, ["éé"]),
        ("a|b", "", {}, []),
    ],
)
def test_matches(pattern: str, text: str, config: dict[str, Any], texts: list[str]) -> None:
    assert [match["text"] for match in found(pattern, text, **config)][: len(texts)] == texts


def test_groups_names_and_places() -> None:
    assert found(r"(?P<key>\w+)=(\d+)?(;)?", "é a=1; b=") == [
        {"text": "a=1;", "start": 2, "end": 6, "groups": ["a", "1", ";"], "named": {"key": "a"}},
        {"text": "b=", "start": 7, "end": 9, "groups": ["b", None, None], "named": {"key": "b"}},
    ]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(a*)*c", "(.*)(.*)(.*)(.*)x"])
def test_no_pattern_backtracks_without_end(pattern: str) -> None:
    began = time.monotonic()
    found(pattern, "a" * 100_000 + "!")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("pattern", "text", "error"),
    [
        ("a", 5, "InvalidInput"),
        ("a", None, "InvalidInput"),
        ("a", ["a"], "InvalidInput"),
        ("a", "\ud800", "InvalidInput"),
        ("(?=a)", "a", "InvalidInput"),
        ("(.{0,900})x", "a" * 1_000_000, "ValueTooLarge"),
        ("(a*b)|(.)", "a" * 3_000_000, "Timeout"),
    ],
)
def test_failures(pattern: str, text: Any, error: str) -> None:
    with pytest.raises(NodeError) as caught:
        found(pattern, text, max_matches=10_000)
    assert (caught.value.error, caught.value.retryable) == (error, False)


@pytest.mark.parametrize(
    "pattern",
    ["(", "a**", "[", r"(a)\1", "(?=a)", "(?<!a)b", "a{1001}", "((a{100}){100}){100}", "\ud800", "(?P<a"],
)
def test_patterns_that_the_engine_refuses(pattern: str) -> None:
    assert problems("regex_extract", {"pattern": pattern}) == ["config.pattern"]


def test_a_pattern_that_the_engine_takes() -> None:
    assert problems("regex_extract", {"pattern": r"(?P<a>\pL+)"}) == []


@pytest.mark.parametrize(
    "config",
    [{}, {"pattern": ""}, {"pattern": 5}, {"pattern": "a", "flags": "x"}, {"pattern": "a", "max_matches": 0}],
)
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("regex_extract"), config)
