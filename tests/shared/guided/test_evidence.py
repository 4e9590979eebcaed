from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.guided.evidence import folded, found, supports

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ("Ada", "I am Ada."),
        ("ada  LOVELACE", "I'm Ada\n Lovelace!"),
        ("I'm", "I\u2019m here"),
        ("\u201cyes\u201d", 'she said "yes"'),
        ("A-17", "order a\u201317, please"),
        ("\uff11\uff12\uff10", "120 euro"),  # full-width digits
        ("\u6771\u4eac", "\u79c1\u306f\u6771\u4eac\u306b\u4f4f\u3093\u3067\u3044\u307e\u3059"),
    ],
)
def test_a_quote_is_found(quote, said):
    assert found(quote, said)


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ("", "anything"),
        ("  \n", "anything"),
        ("...", "wait..."),
        ("12", "it was 120"),
        ("da", "I am Ada"),
        ("I am Bob", "I am Ada"),
        ("Ada is", "Ada, is"),
        (".*", "anything"),
    ],
)
def test_a_quote_is_not_found(quote, said):
    assert not found(quote, said)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("120 euro", 120),
        ("1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("1 234", 1234),
        ("1'234", 1234),
        ("1.000", 1000),
        ("1.000", 1.0),
        ("5k", 5000),
        ("about 2.5 million", 2_500_000),
        ("19%", 0.19),
        ("19 %", 19),
        ("-5 degrees", -5),
        ("minus 5", -5),
        ("two hundred and fifty", 250),
        ("twenty-one", 21),
        ("three thousand two hundred", 3200),
        ("a dozen", 12),
        ("between two and five", 5),
        ("3 5", 5),
    ],
)
def test_a_number_comes_from_the_quote(quote, value):
    assert supports(quote, value, NUMBER)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("Hello there", 1_000_000),
        ("120 euro", 1200),
        ("120", 12),
        ("5", -5),
        ("one", 11),
        ("between two and five", 7),
        ("yes", 1),
        ("one euro", 1_000),
    ],
)
def test_a_number_does_not_come_from_the_quote(quote, value):
    assert not supports(quote, value, NUMBER)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("my name is ada lovelace", "Ada Lovelace"),
        ("Lovelace, Ada", "Ada Lovelace"),
        ("order A17", "A-17"),
        ("order a-17", "A17"),
        ("+49 30 1234", "+49-30-1234"),
        ("ada@example.org", "ada@example.org"),
        ("\u79c1\u306f\u6771\u4eac\u306b\u4f4f\u3093\u3067\u3044\u307e\u3059", "\u6771\u4eac"),
    ],
)
def test_text_comes_from_the_quote(quote, value):
    assert supports(quote, value, TEXT)


@pytest.mark.parametrize(
    ("quote", "value"),
    [("my name is Ada", "Ada Lovelace"), ("banana", "an"), ("yes", "ada@example.org"), ("Ada", ""), ("Ada", "...")],
)
def test_text_does_not_come_from_the_quote(quote, value):
    assert not supports(quote, value, TEXT)


def test_choices_dates_and_truth_are_taken_as_read():
    assert supports("it is broken", "damaged", {"enum": ["damaged", "fine"]})
    assert supports("next friday", "2026-05-01", {"type": "string", "format": "date"})
    assert supports("it broke", True, {"type": "boolean"})
    assert not supports("next friday", "2026-05-01", TEXT)


def test_all_parts_have_to_come_from_the_quote():
    schema = {"type": "object", "properties": {"street": TEXT, "kind": {"enum": ["home", "work"]}}}
    assert supports("Main Street 5", {"street": "Main Street 5", "kind": "home"}, schema)
    assert not supports("Main Street 5", {"street": "Main Street 6", "kind": "home"}, schema)
    assert not supports("Main Street 5", {"street": "Main Street 5", "city": "Paris"}, schema)
    assert supports("2 and 3", [2, 3], {"type": "array", "items": NUMBER})
    assert not supports("2 and 3", [2, 4], {"type": "array", "items": NUMBER})
    assert not supports("2 and 3", [2, {"a": 9}], {})


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_text_may_be_quoted_and_searched(said, quote):
    assert folded(folded(said)) == folded(said)
    if found(quote, said):
        assert folded(quote) in folded(said)


@given(st.from_regex(r"\A[a-z]{2,8}( [a-z]{2,8}){0,6}\Z"), st.data())
def test_whole_words_of_what_was_said_are_found(said, data):
    words = said.split()
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    assert found(" ".join(words[start:end]), f"Well, {said.upper()}!")


@given(st.integers(0, 10**9))
def test_every_number_that_is_said_is_found_and_its_neighbours_are_not(number):
    for quote in (f"it is {number}.", f"{number:,} of them"):
        assert supports(quote, number, NUMBER)
    assert not supports(f"it is {number}.", number + 1, NUMBER)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=30), JSON, JSON)
def test_no_value_and_no_schema_is_too_odd(quote, value, schema):
    assert supports(quote, value, schema if isinstance(schema, dict) else {}) in (True, False)
