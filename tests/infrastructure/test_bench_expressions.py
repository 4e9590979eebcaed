"""The comparison of expression engines, over a suite of our own in the same layout."""

import json
from pathlib import Path
from typing import Any

import pytest

from infrastructure.bench import expressions


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    def case(name: str, content: Any) -> None:
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "people.json").write_text('{"people": [{"n": 1}, {"n": 2}]}')
    case("paths/case000.json", {"expr": "people.n", "dataset": "people", "result": [1, 2]})
    case("paths/case001.json", {"expr": "$x + 1", "dataset": None, "bindings": {"x": 1}, "result": 2})
    case("paths/many.json", [{"expr": "a", "data": {}, "undefinedResult": True}, {"expr": "(", "code": "S0207"}])
    case("paths/wrong.json", {"expr": "1 + 1", "data": {}, "result": 3})
    case("paths/mild.json", {"expr": "1 + 1", "data": {}, "code": "D0000"})
    case("files/case000.json", {"expr-file": "case000.jsonata", "data": {"a": True}, "result": True})
    (tmp_path / "groups" / "files" / "case000.jsonata").write_text("a")
    return tmp_path


def test_right_answers_are_counted_and_wrong_ones_shown(suite: Path):
    lines = expressions.conformance(suite).splitlines()
    assert lines[0].split() == ["group", "cases", "jsonatapy", "jsonata-python"]
    assert [line.split() for line in lines[1:4]] == [
        ["files", "1", "1", "1"],
        ["paths", "6", "4", "4"],
        ["all", "7", "5", "5"],
    ]
    assert lines[4].split()[-3:-1] == ["2", "1"]
    assert "jsonatapy       paths/wrong: 2 for 3" in lines
    assert "jsonata-python  paths/mild: no error but 2" in lines


def test_equality_is_that_of_json():
    assert expressions.same([1, {"a": 2.0}], [1.0, {"a": 2}])
    assert not expressions.same(True, 1)
    assert not expressions.same({"a": None}, {})


def test_speed_is_a_ratio_of_engines_that_agree():
    rows = [line.split() for line in expressions.speed(1).splitlines()]
    assert [row[0] for row in rows] == ["workload", *expressions.workloads(), "parse"]
    assert all(float(row[3]) > 1 for row in rows[1:])
