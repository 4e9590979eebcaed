"""Whether a person has said what a model says they have: pure, and without any model.

A quote has to be found in one of the person's messages, but for case, white space and typographic quotes, and at the
bounds of words. Then the value has to come from the quote:

- a number is one that the quote holds, in digits or in plain English words;
- free text consists of words of the quote;
- what the schema narrows to a choice, a date or a time, and what is true or false, is taken as read from it;
- of an object or an array all parts.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_ALIKE: Final = str.maketrans("\u2019\u2018\u201c\u201d\u2013\u2014", "''\"\"--")
_WORDS: Final = re.compile(r"\w+")
_NUMERAL: Final = re.compile(r"\d(?:[\d.,'_ \u00a0\u202f]*\d)?")
_MULTIPLIER: Final = re.compile(r"\s*(thousand|million|billion|k|m|bn)\b")
_TIMES: Final = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9}
_SMALL: Final = _WORDS.findall(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS: Final = _WORDS.findall("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBER_WORDS: Final = {
    **{word: number for number, word in enumerate(_SMALL)},
    **{word: 10 * (number + 2) for number, word in enumerate(_TENS)},
    "dozen": 12,
}
_READ_FORMATS: Final = frozenset({"date", "time", "date-time", "duration"})


def folded(text: str) -> str:
    """A text without what two ways of writing the same differ in."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_ALIKE).casefold().split())


def found(quote: str, said: str) -> bool:
    """Whether a quote stands in what was said, from the beginning of a word to the end of one."""
    wanted = folded(quote)
    if not _WORDS.search(wanted):
        return False
    start = r"(?<![a-z0-9])" if wanted[0].isascii() and wanted[0].isalnum() else ""
    end = r"(?![a-z0-9])" if wanted[-1].isascii() and wanted[-1].isalnum() else ""
    return re.search(start + re.escape(wanted) + end, folded(said)) is not None


def supports(quote: str, value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value can come from the quote. `schema` is the value's own."""
    if isinstance(value, dict):
        parts = schema.get("properties")
        known = parts if isinstance(parts, Mapping) else {}
        return all(supports(quote, each, _own(known.get(name))) for name, each in value.items())
    if isinstance(value, list):
        return all(supports(quote, each, _own(schema.get("items"))) for each in value)
    if isinstance(value, bool) or value is None or "enum" in schema or "const" in schema:
        return True
    if isinstance(value, (int, float)):
        return _holds_number(quote, value)
    return schema.get("format") in _READ_FORMATS or _holds_text(quote, value)


def _own(schema: Any) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}


def _holds_text(quote: str, text: str) -> bool:
    words, given = _WORDS.findall(folded(quote)), _WORDS.findall(folded(text))
    if not given or set(given) <= set(words):
        return bool(given)
    # `A17` for `A-17` and the other way round, and languages that write no spaces.
    wanted, offset, starts, ends = "".join(given), 0, set(), set()
    for word in words:
        starts.add(offset)
        offset += len(word)
        ends.add(offset)
    for match in re.finditer(re.escape(wanted), "".join(words)):
        begins = match.start() in starts or not wanted[0].isascii()
        if begins and (match.end() in ends or not wanted[-1].isascii()):
            return True
    return False


def _holds_number(quote: str, number: float) -> bool:
    text = folded(quote)
    if number < 0 and not re.search(r"-\s*\d|\bminus\b|\bnegative\b|\bbelow\b", text):
        return False
    try:
        wanted = abs(float(number))
    except OverflowError:
        return False
    return any(math.isclose(wanted, each, rel_tol=1e-12) for each in (*_numerals(text), *_in_words(text)))


def _numerals(text: str) -> Iterator[float]:
    """Every number that the digits of a text can mean: `1.000` is one, and a thousand."""
    for match in _NUMERAL.finditer(text):
        multiplied = _MULTIPLIER.match(text, match.end())
        percent = text[match.end() :].lstrip().startswith(("%", "percent", "per cent"))
        for number in _meanings(match[0]):
            yield number
            if multiplied:
                yield number * _TIMES[multiplied[1]]
            if percent:
                yield number / 100


def _meanings(numeral: str) -> Iterator[float]:
    yield from _floats(re.split(r"[ \u00a0\u202f]", numeral))  # "3 5" may be two numbers
    joined = re.sub(r"[' _\u00a0\u202f]", "", numeral)
    yield from _floats([joined, joined.replace(",", ""), joined.replace(".", ""), joined.replace(",", ".")])
    yield from _floats([joined.replace(".", "").replace(",", ".")])


def _floats(texts: Iterable[str]) -> Iterator[float]:
    for text in texts:
        try:
            yield float(text)
        except ValueError:
            continue


def _in_words(text: str) -> Iterator[float]:
    """Numbers in English words: `two hundred and fifty`, `twenty-one`, `a dozen`."""
    total = part = 0.0
    counting = large = False  # whether a number is being read, and whether its last word was hundred or more
    for word in [*_WORDS.findall(text.replace("-", " ")), ""]:
        small = _NUMBER_WORDS.get(word)
        if small is not None and counting and not _goes_on(part, small):
            yield total + part
            total = part = 0.0
        if small is not None:
            part, counting, large = part + small, True, False
        elif word == "hundred":
            part, counting, large = (part or 1) * 100, True, True
        elif word in ("thousand", "million", "billion") and (counting or total == 0):
            total, part, counting, large = total + (part or 1) * _TIMES[word], 0.0, True, True
        elif not (word == "and" and large):
            if counting:
                yield total + part
            total, part, counting, large = 0.0, 0.0, False, False


def _goes_on(part: float, small: int) -> bool:
    """Whether a small number adds to the one before it: after hundreds, and ones after tens."""
    return part % 100 == 0 or (part % 100 >= 20 and part % 10 == 0 and 0 < small < 10)
