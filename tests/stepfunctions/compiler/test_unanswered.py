from __future__ import annotations

import pytest

from stepfunctions.compiler.compile import compile_document
from tests.stepfunctions.compiler.documents import document, node


def warned(mode: str, *, answers: bool, disabled: bool = False) -> list[tuple[str, str | None]]:
    nodes = [node("hook", "http_webhook", {"response_mode": mode}), node("out", "output")]
    nodes += [node("reply", "webhook_response", disabled=disabled)] if answers else []
    wires = "hook.body -> out.value" + ("; hook.body -> reply.body" if answers else "")
    compiled = compile_document(document(nodes, wires))
    assert compiled.plan is not None
    return [(d.code, d.node_id) for d in compiled.diagnostics if d.severity == "warning"]


@pytest.mark.parametrize(
    ("mode", "answers", "expected"),
    [
        ("node", True, []),
        ("node", False, [("no_webhook_response", "hook")]),
        ("last", True, [("nobody_waits", "reply")]),
        ("accepted", False, []),
    ],
)
def test_a_webhook_and_its_answer_belong_together(mode, answers, expected):
    assert warned(mode, answers=answers) == expected


def test_an_answer_that_is_disabled_is_none():
    assert warned("node", answers=True, disabled=True) == [("no_webhook_response", "hook")]


def test_so_is_an_output():
    compiled = compile_document(document([node("start", "manual_trigger"), node("out", "output", disabled=True)]))
    assert "no_output" in [d.code for d in compiled.diagnostics]
