"""`shell_command`, with the real sandbox. What it can and cannot do: tests/functions/sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import TooLarge, Unavailable
from shared.nodes.base import NodeError
from shared.nodes.tools.shell_command import ShellCommand
from tests.shared.nodes.boxes import Boxes
from tests.shared.nodes.calls import Outside, execute


def shell(inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return execute("shell_command", {}, inputs, world=Outside(sandbox=Boxes()), **more)


def test_the_example() -> None:
    made = shell(dict(ShellCommand.example["inputs"]))
    assert made == {"stdout": "      2 pear\n      1 apple\n", "stderr": "", "code": 0}


def test_an_exit_status_is_a_result() -> None:
    assert shell({"command": "echo no >&2; exit 3", "stdin": None}) == {"stdout": "", "stderr": "no\n", "code": 3}


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        ({}, "InvalidInput", "command"),
        ({"command": None}, "InvalidInput", "command"),
        ({"command": ["ls"]}, "InvalidInput", "command"),
        ({"command": "ls", "stdin": 5}, "InvalidInput", "stdin"),
        ({"command": "ls", "stdin": "\ud800"}, "InvalidInput", "stdin"),
        ({"command": "sleep 60"}, "Timeout", "its time"),
        ({"command": "f() { f; }; f"}, "LimitExceeded", "depth"),
        ({"command": "dd if=/dev/zero of=big bs=1M count=500"}, "MemoryExceeded", "bytes"),
    ],
)
def test_what_goes_wrong(inputs: dict[str, Any], error: str, said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        shell(inputs, timeout_seconds=0.6 if error == "Timeout" else 20)
    assert caught.value.error == error
    assert error in ShellCommand.errors


@pytest.mark.parametrize(("refusal", "error"), [(Unavailable("no"), "Unavailable"), (TooLarge("no"), "TooLarge")])
def test_what_the_sandbox_refuses(refusal: Any, error: str) -> None:
    with pytest.raises(NodeError) as caught:
        execute("shell_command", {}, {"command": "ls"}, world=Outside(sandbox=Boxes(refuses=refusal)))
    assert caught.value.error == error
