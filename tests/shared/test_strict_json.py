import json

import pytest

from shared.errors import BadRequest
from shared.strict_json import MAX_DEPTH, loads


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5e300, 10**30, "ü🦊\u0000", [], {}, {"": [1, {"a": None}]}, "[" * 500, ["{"] * 500]
)
def test_json_is_read_as_it_is(value):
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b"{} {}",
        b"NaN",
        b"[-Infinity]",
        b"1e999",
        b"9" * 5000,
        b'"\x01"',
        b'"\xff"',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        "[1]".encode("utf-16"),
        b"\xef\xbb\xbf[1]",
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(BadRequest) as error:
        loads(body)
    assert error.value.code == "bad_json"


def test_the_deepest_that_is_taken():
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert loads(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
