"""Golden pairs, found by listing a folder: a document, and the plan or the diagnostics that it compiles to.

`make golden` writes them anew; the difference is what a review looks at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.plan import Plan, canonical
from tests.stepfunctions.scenarios import SCENARIOS

FOLDER = Path(__file__).parents[2] / "golden"
CASES = sorted(f.parent for f in FOLDER.glob("*/document.json"))


def compiled(case: Path) -> dict[str, Any]:
    document = Document.model_validate(json.loads((case / "document.json").read_text()))
    result = compile_document(document, version=1)
    answer: dict[str, Any] = {"diagnostics": [d.as_dict() for d in result.diagnostics]}
    if result.plan is not None:
        answer |= {"machine": result.plan.machine, "plan": result.plan.as_dict()}
    return answer


def test_there_are_cases():
    assert len(CASES) >= 10


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_golden(case: Path):
    text = json.dumps(compiled(case), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    expected = case / "compiled.json"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_same_bytes_and_back(case: Path):
    answer = compiled(case)
    assert canonical(answer) == canonical(compiled(case))
    if "plan" in answer:
        stored = json.loads(json.dumps(answer["plan"]))
        assert canonical(Plan.from_dict(stored).as_dict()) == canonical(stored)


def test_every_golden_machine_is_run():
    """Each machine of the golden files is one that the scenarios run, on moto's interpreter and on the local AWS."""
    run = {
        result.plan.machine
        for scenario in SCENARIOS
        for granularity in ("segment", "node")
        if (result := compile_document(scenario.at("http://localhost", granularity))).plan is not None
    }
    golden = {case.name: compiled(case).get("machine") for case in CASES}
    assert [name for name, machine in golden.items() if machine is not None and machine not in run] == []
