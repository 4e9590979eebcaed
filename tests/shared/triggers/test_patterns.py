from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from ministack.services.eventbridge import _compile_pattern, _matches_detail

from shared.triggers.patterns import MAX_LENGTH, BadPattern, check, matches, problems

# The events and patterns of EventBridge's guide, "Amazon EventBridge event patterns".
EC2 = {
    "version": "0",
    "source": "aws.ec2",
    "detail-type": "EC2 Instance State-change Notification",
    "time": "2021-11-11T21:29:54Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
    "detail": {
        "instance-id": "i-abcd1111",
        "state": "terminated",
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "eventVersion": "",
        "responseElements": None,
        "FileName": "image.PNG",
        "location": "eu-west",
    },
}
FITS: dict[str, Any] = {
    "a value": {"source": ["aws.ec2"]},
    "one of the values": {"detail": {"state": ["stopped", "terminated"]}},
    "in a list": {"resources": [{"suffix": "i-abcd1111"}]},
    "empty text": {"detail": {"eventVersion": [""]}},
    "null": {"detail": {"responseElements": [None]}},
    "prefix": {"time": [{"prefix": "2021-11-11"}], "region": [{"prefix": {"equals-ignore-case": "US-"}}]},
    "suffix": {"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}},
    "anything but": {"detail": {"state": [{"anything-but": "initializing"}]}},
    "anything but a list": {"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}},
    "anything but numbers": {"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}},
    "anything but a prefix": {"detail": {"state": [{"anything-but": {"prefix": ["init", "stop"]}}]}},
    "anything but a wildcard": {"detail": {"FileName": [{"anything-but": {"wildcard": "*.jpg"}}]}},
    "numeric": {"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "x-limit": [{"numeric": ["=", 3.018e2]}]}},
    "a block of addresses": {"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}},
    "exists": {"detail": {"state": [{"exists": True}], "c": [{"exists": False}]}},
    "without case": {"detail-type": [{"equals-ignore-case": "ec2 instance State-change notification"}]},
    "wildcard": {"detail": {"FileName": [{"wildcard": "*.P*"}], "location": [{"wildcard": "eu*"}]}},
    "or": {
        "source": ["aws.ec2"],
        "$or": [{"detail": {"c-count": [9]}}, {"detail": {"d-count": [{"numeric": ["<", 10]}]}}],
    },
}
FITS_NOT: dict[str, Any] = {
    "another value": {"source": ["aws.s3"]},
    "a field that is not there": {"detail": {"missing": ["x"]}},
    "one of two fields": {"source": ["aws.ec2"], "region": ["eu-west-1"]},
    "a number as text": {"detail": {"c-count": ["5"]}},
    "true is not 1": {"detail": {"d-count": [True]}},
    "an object where a value is asked for": {"detail": [{"exists": True}]},
    "a value where an object is asked for": {"source": {"name": ["x"]}},
    "out of the range": {"detail": {"c-count": [{"numeric": [">", 5]}]}},
    "another block": {"detail": {"source-ip": [{"cidr": "10.0.1.0/24"}]}},
    "no address": {"detail": {"state": [{"cidr": "10.0.1.0/24"}]}},
    "what is excluded": {"detail": {"state": [{"anything-but": ["stopped", "terminated"]}]}},
    "anything but, of nothing": {"detail": {"missing": [{"anything-but": "x"}]}},
    "in another case": {"detail": {"location": ["EU-WEST"]}},
    "none of the two": {"$or": [{"source": ["x"]}, {"region": ["y"]}]},
    "a whole text, not a part": {"detail": {"location": [{"wildcard": "u-w"}]}},
}


@pytest.mark.parametrize("pattern", FITS.values(), ids=FITS)
def test_the_guides_patterns_fit(pattern):
    check(pattern)
    assert matches(pattern, EC2)


@pytest.mark.parametrize("pattern", FITS_NOT.values(), ids=FITS_NOT)
def test_what_does_not_fit(pattern):
    check(pattern)
    assert not matches(pattern, EC2)


def test_fields_have_to_fit_in_the_same_element_of_a_list():
    event = {"items": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    assert matches({"items": {"a": [1], "b": [2]}}, event)
    assert not matches({"items": {"a": [1], "b": [4]}}, event)
    assert matches({"items": {"a": [3]}}, {"items": [[{"a": 3}]]})


def test_stars_and_backslashes_in_a_wildcard():
    assert matches({"a": [{"wildcard": r"a\*b\\*"}]}, {"a": "a*b\\c"})
    assert not matches({"a": [{"wildcard": r"a\*b"}]}, {"a": "axb"})
    assert not matches({"a": [{"wildcard": "ab*ba"}]}, {"a": "aba"})
    assert matches({"a": [{"wildcard": "*"}]}, {"a": ""})


def test_a_wildcard_takes_no_long_time():
    assert not matches({"a": [{"wildcard": "*a" * 1_000 + "b"}]}, {"a": "a" * 200_000})


WRONG: dict[str, tuple[Any, str]] = {
    "no object": (["x"], ""),
    "empty": ({}, ""),
    "an empty list": ({"a": []}, "a"),
    "a bare value": ({"a": "x"}, "a"),
    "an empty object": ({"a": {"b": {}}}, "a.b"),
    "a list in a list": ({"a": [["x"]]}, "a"),
    "an unknown comparison": ({"a": [{"like": "x"}]}, "a"),
    "two comparisons": ({"a": [{"prefix": "x", "suffix": "y"}]}, "a"),
    "no comparison": ({"a": [{}]}, "a"),
    "prefix of a number": ({"a": [{"prefix": 1}]}, "a"),
    "an empty prefix": ({"a": [{"prefix": ""}]}, "a"),
    "exists of a text": ({"a": [{"exists": "true"}]}, "a"),
    "numeric without a list": ({"a": [{"numeric": 3}]}, "a"),
    "numeric of a text": ({"a": [{"numeric": [">", "3"]}]}, "a"),
    "numeric of true": ({"a": [{"numeric": [">", True]}]}, "a"),
    "numeric with a bad sign": ({"a": [{"numeric": ["!=", 3]}]}, "a"),
    "numeric, odd": ({"a": [{"numeric": [">", 1, "<"]}]}, "a"),
    "numeric, upside down": ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "a"),
    "numeric, nothing between": ({"a": [{"numeric": [">", 5, "<", 5]}]}, "a"),
    "numeric, too large": ({"a": [{"numeric": [">", 1e10]}]}, "a"),
    "cidr of a word": ({"a": [{"cidr": "home"}]}, "a"),
    "cidr without a length": ({"a": [{"cidr": "10.0.0.1"}]}, "a"),
    "two stars": ({"a": [{"wildcard": "a**b"}]}, "a"),
    "a lone backslash": ({"a": [{"wildcard": "a\\b"}]}, "a"),
    "anything but nothing": ({"a": [{"anything-but": []}]}, "a"),
    "anything but both": ({"a": [{"anything-but": ["x", 1]}]}, "a"),
    "anything but a comparison of numbers": ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "a"),
    "an or of one": ({"$or": [{"a": [1]}]}, "$or"),
    "in an or": ({"$or": [{"a": [1]}, {"b": []}]}, "$or[1].b"),
    "too long": ({"a": ["x" * MAX_LENGTH]}, ""),
}


@pytest.mark.parametrize(("pattern", "path"), WRONG.values(), ids=WRONG)
def test_what_is_no_pattern(pattern, path):
    with pytest.raises(BadPattern) as caught:
        check(pattern)
    assert caught.value.path == path
    (found,) = problems(pattern, "config.pattern")
    assert (found.code, found.path) == ("invalid_pattern", f"config.pattern.{path}".rstrip("."))


def test_a_pattern_that_is_very_deep():
    deep: Any = {"a": ["x"]}
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(BadPattern):
        check(deep)


# --- the emulator's matcher, made by others, as a second opinion -----------------------------------------------------

_VALUES = ["a", "ab", "abc", "A", "", 0, 1, 1.5, 5, True, False, None, "10.0.0.7", "2001:db8::1"]


def _event(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 3 and kind < 0.35:
        return {k: _event(rng, depth + 1) for k in rng.sample("xyz", rng.randint(0, 3))}
    if depth < 3 and kind < 0.5:
        return [_event(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return rng.choice(_VALUES)


def _value(rng: random.Random) -> Any:
    one, other = (rng.choice(["a", "ab", "b", "A", "c", "abc"]) for _ in range(2))
    but = [one, [one, other], 1, [1, 5], {"prefix": one}, {"suffix": [one, other]}, {"wildcard": "a*"}]
    return rng.choice(
        [
            rng.choice(_VALUES),
            {"prefix": one},
            {"suffix": one},
            {"prefix": {"equals-ignore-case": one}},
            {"equals-ignore-case": one},
            {"wildcard": rng.choice(["a*", "*b*", "a*c", "*", "ab"])},
            {"anything-but": rng.choice(but)},
            {"numeric": rng.choice([["=", 1], [">", 0, "<=", 5], ["<", 1.5], [">=", 5]])},
            {"exists": rng.random() < 0.5},
            {"cidr": rng.choice(["10.0.0.0/24", "2001:db8::/32"])},
        ]
    )


def _pattern(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    def one() -> Any:
        nested = depth < 2 and rng.random() < 0.4
        return _pattern(rng, depth + 1) if nested else [_value(rng) for _ in range(rng.randint(1, 2))]

    made: dict[str, Any] = {k: one() for k in rng.sample("xyz", rng.randint(1, 2))}
    left = [k for k in "xyz" if k not in made]
    if left and rng.random() < 0.15:
        made["$or"] = [{left[0]: [_value(rng)]}, {left[-1]: [_value(rng)]}]
    return made


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns_mean_what_the_emulator_takes_them_for(seed):
    rng, hits = random.Random(seed), 0
    for _ in range(2_000):
        pattern, event = _pattern(rng), {k: _event(rng) for k in "xyz"}
        check(pattern)
        theirs = any(_matches_detail(event, alternative) for alternative in _compile_pattern(pattern))
        assert matches(pattern, event) is theirs, json.dumps([pattern, event])
        hits += theirs
    assert hits > 50


def test_much_to_compare_takes_no_long_time() -> None:
    """An event has 256 KB and a pattern 4: one by one, that would be a minute of the dispatcher, which all share."""
    began = time.monotonic()
    values = [1] * 1_300
    assert not matches({"detail": {"a": values}}, {"detail": {"a": [0] * 80_000}})
    assert not matches({"detail": {"a": values}}, {"detail": {"a": list(range(2, 40_000))}})
    blocks = [{"cidr": "10.0.0.0/8"}] * 160
    assert not matches({"detail": {"a": blocks}}, {"detail": {"a": ["1.1.1.1"] * 20_000}})
    assert time.monotonic() - began < 5


def test_lists_in_lists_however_deep() -> None:
    value: Any = 1
    for _ in range(2_000):
        value = [value]
    assert matches({"detail": {"a": [1]}}, {"detail": {"a": value}})
