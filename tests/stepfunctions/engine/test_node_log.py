"""What a node logs: as much as its record holds, and where that is not all it says so."""

from __future__ import annotations

from stepfunctions.engine.world import NodeLog

MORE = " … (more lines were left out)"


def said(*messages: str) -> list[str]:
    log = NodeLog()
    for message in messages:
        log.log("info", message)
    return [line["message"] for line in log.lines]


def test_a_line_that_is_too_long_ends_with_a_mark() -> None:
    assert said("x" * 4_000, "y" * 4_001) == ["x" * 4_000, "y" * 3_999 + "…"]


def test_half_a_character_in_a_line_becomes_a_question_mark() -> None:
    assert said("cut \ud83d") == ["cut ?"]


def test_lines_that_are_left_out_are_told_of_in_the_last_one() -> None:
    assert said(*["x"] * 200) == ["x"] * 200
    assert said(*["x"] * 205) == [*["x"] * 199, "x" + MORE]


def test_all_lines_together_fit_into_the_record() -> None:
    for messages in (["x" * 3_999] * 30, ["x"] * 150 + ["y" * 4_000] * 20, ["x"] * 198 + ["y" * 4_000] * 20):
        found = said(*messages)
        assert found[-1].endswith("…" + MORE)
        assert max(len(line) for line in found) <= 4_000
        assert sum(len(line) for line in found) <= 40_000
