"""`code_executor`, with the real sandbox. What its languages can and cannot do: tests/functions/sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Invalid, TooLarge, Unavailable
from shared.nodes.base import NodeError
from shared.nodes.catalogue import kind_of
from shared.nodes.registry import get
from shared.nodes.tools.code_executor import CodeExecutor
from tests.shared.nodes.boxes import Boxes
from tests.shared.nodes.calls import Outside, call, execute, fits, run


def test_the_example() -> None:
    example = CodeExecutor.example
    made = execute("code_executor", example["config"], example["inputs"], world=Outside(sandbox=Boxes()))
    assert made == {"result": {"total": 20}, "stdout": ""}


def test_without_input_there_is_null() -> None:
    boxes = Boxes()
    assert execute("code_executor", {"code": "print(input)\n[input]"}, {}, world=Outside(sandbox=boxes)) == {
        "result": [None],
        "stdout": "None\n",
    }
    code = {"language": "javascript", "code": "console.log('x'); [input]"}
    assert execute("code_executor", code, {}, world=Outside(sandbox=boxes)) == {"result": [None], "stdout": "x\n"}
    assert [r["seconds"] for r in boxes.requests] == [20, 20]


def test_braces_in_code_are_code() -> None:
    code = "'{{ inputs }}' + str({1: {2: 3}})"
    made = execute("code_executor", {"code": code}, {"input": 1}, world=Outside(sandbox=Boxes()))
    assert made["result"] == "{{ inputs }}{1: {2: 3}}"


def test_it_says_how_it_runs_and_what_it_took() -> None:
    assert kind_of(get("code_executor")) == kind_of(get("shell_command")) == "box"
    made = call("code_executor", {"code": "1"}, {}, world=Outside(sandbox=Boxes()))
    run(made, "code_executor")
    assert made.usage["milliseconds"] > 0


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("1 / 0", "CodeFailed", "ZeroDivisionError"),
        ("{1}", "InvalidResult", "set"),
        ("while True: pass", "Timeout", "its time"),
        ("'a' * (1 << 30)", "MemoryExceeded", "memory"),
        ("print('x' * 2_000_000)", "OutputTooLarge", "1,000,000"),
        ("'x' * 5_000_000", "ResultTooLarge", "4,000,000"),
        ("'\ud800'", "InvalidInput", "code"),
    ],
)
def test_what_goes_wrong(code: str, error: str, said: str) -> None:
    seconds = 0.6 if error == "Timeout" else 20
    with pytest.raises(NodeError, match=said) as caught:
        execute("code_executor", {"code": code}, {}, world=Outside(sandbox=Boxes()), timeout_seconds=seconds)
    assert caught.value.error == error
    assert error in CodeExecutor.errors


@pytest.mark.parametrize(
    ("refusal", "error", "again"),
    [
        (Unavailable("the sandbox has too much to do"), "Unavailable", True),
        (TooLarge("at most"), "TooLarge", False),
        (Invalid("no JSON"), "InvalidInput", False),
    ],
)
def test_what_the_sandbox_refuses(refusal: Any, error: str, again: bool) -> None:
    with pytest.raises(NodeError) as caught:
        execute("code_executor", {"code": "1"}, {}, world=Outside(sandbox=Boxes(refuses=refusal)))
    assert (caught.value.error, caught.value.retryable) == (error, again)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"code": ""},
        {"code": 5},
        {"code": "1", "language": "ruby"},
        {"code": "x" * 100_001},
        {"code": "1", "more": 1},
    ],
)
def test_a_config_that_does_not_fit(config: dict[str, Any]) -> None:
    assert not fits(CodeExecutor(), config)
