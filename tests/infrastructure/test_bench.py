"""The bench: how figures are made, and a quick run of all of it on a local AWS of its own."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.bench import compiler, imports, shapes, transitions
from infrastructure.bench.figures import Figure, compared, rounds, table, write
from stepfunctions.compiler.compile import compile_document

TARGETS = {
    "import_api": 1.2,
    "import_runner": 0.6,
    "transitions_per_run": 0.25,
    "compile_1000_nodes": 0.5,
    "compile_growth": 12,
    "run_length_series_parallel": 1.0,
    "run_length_any_order": 1.1,
    "engine_per_node": 0.2,
    "journal_writes_ten_nodes": 6,
    "loop_growth": 11,
    "retrieval_10000": 1.5,
}
ROOT = Path(__file__).resolve().parents[2]
CRUD = {f"crud_{what}" for what in ("create", "read", "list", "update")}
RUNS = {
    "run_webhook_ten_transforms",
    "run_twenty_branches",
    "run_loop_hundred_items",
    "run_loop_hundred_requests",
    "run_human_answer",
}

SIZES = {
    "save_100_nodes": 500,
    "load_100_nodes": 500,
    "node_end_to_browser": 100,
    "list_workflows_deep": 1.2,
    "list_runs_deep": 1.2,
}
AMONG_MANY = {"get_workflow_among_many", "get_run_among_many"}


def test_a_comparison_is_a_ratio_of_medians():
    figure = compared("import_api", [30, 10, 20], [10, 100, 10], against="nothing", target=1.5, detail={"more": 1})
    assert (figure.value, figure.unit, figure.met) == (2.0, "x", "NO")
    assert figure.detail["ours_ms"] == 20
    assert figure.detail["bare_ms"] == 10
    assert figure.detail["rounds"] == 3
    assert figure.detail["more"] == 1


def test_a_target_is_met_by_its_own_value():
    assert Figure("f", 1.5, 1.5, {}).met == "yes"
    assert Figure("f", 1.51, 1.5, {}).met == "NO"
    assert Figure("f", 9.0, None, {}).met == "-"


def test_what_is_written_and_what_is_printed(tmp_path: Path):
    figures = [Figure("late", 2.0, 1.0, {"against": "this"}), Figure("free", 0.5, None, {})]
    write(figures, tmp_path / "new" / "bench.json")
    assert json.loads((tmp_path / "new" / "bench.json").read_text()) == {
        "late": {"value": 2.0, "target": 1.0, "unit": "x", "detail": {"against": "this"}},
        "free": {"value": 0.5, "target": None, "unit": "x", "detail": {}},
    }
    lines = table(figures).splitlines()
    assert lines[1].split() == ["late", "2", "x", "≤", "1", "x", "NO"]
    assert lines[2].strip() == "against this"


def test_rounds_end_in_time_but_not_before_there_are_some():
    assert list(rounds(3, 1000)) == [0, 1, 2]
    assert list(rounds(1000, -1, at_least=2)) == [0, 1]


def test_transitions_are_counted_over_all_documents():
    (figure,) = transitions.measure()
    assert figure.name == "transitions_per_run"
    assert (
        0 < figure.value < figure.detail["against_loops_counted_once"] < figure.detail["against_granularity_node"] < 1
    )
    assert figure.detail["documents"] == 21
    assert figure.detail["data-cleanup"] == "1/1/17.0"  # all pure: one state, or one for each of 7 nodes and 10 items


def test_nodes_that_run_are_counted_with_the_arms_that_are_taken():
    nodes = [
        shapes.node("if", "condition", {"condition": "true"}),
        shapes.node("a", "merge"),
        shapes.node("b", "merge"),
        shapes.node("b2", "merge"),
        shapes.node("each", "loop", inputs={"items": [1]}),
        shapes.node("body", "merge", parent="each", inputs={"inputs": 1}),
    ]
    wires = [
        ("start", "trigger", "if", "input"),
        ("if", "true", "a", "inputs"),
        ("if", "false", "b", "inputs"),
        ("b", "output", "b2", "inputs"),
    ]
    plan = compile_document(shapes.document(nodes, wires)).plan
    assert plan is not None
    counted = transitions.one_by_one(plan, 10)
    # The condition, the loop, ten times its body; a in some runs, b and b2 in the others.
    assert 13 < counted < 14
    assert transitions.one_by_one(plan, 1) == pytest.approx(counted - 9)


def test_the_length_of_a_run_is_that_of_its_longest_branch():
    # n0 and n1 are side by side, n2 comes after both.
    dice = random.Random(1)
    plan = compile_document(shapes.ordered([[], [], [0, 1]], dice)).plan
    assert plan is not None
    assert compiler.length(plan, {"n0": 3, "n1": 5, "n2": 2}) == 7
    requests = compile_document(shapes.ordered([[], [0], []], dice, waits=0)).plan
    assert requests is not None
    assert compiler.length(requests, {"n0": 3, "n1": 5, "n2": 2}) == 8  # one call, the longest chain in it


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_made_up_documents_have_the_size_asked_for(shape: str):
    made = shapes.SHAPES[shape](100)
    assert len(made.nodes) == 100
    assert made == shapes.SHAPES[shape](100)
    assert compile_document(made).plan is not None


def test_made_up_orders():
    dice = random.Random(2)
    for make in (shapes.any_order, shapes.series_parallel):
        for size in (1, 2, 30):
            before = make(size, dice)
            assert len(before) == size
            assert all(j < i for i, each in enumerate(before) for j in each)


def test_runs_as_long_as_their_longest_path():
    serial, other = compiler.lengths(10)
    assert (serial.name, serial.value, serial.met) == ("run_length_series_parallel", 1.0, "yes")
    assert serial.detail["waits_of_1_to_100"] == 1.0
    assert (other.name, other.met) == ("run_length_any_order", "yes")


def test_every_function_is_imported():
    assert set(imports.FUNCTIONS) == {f.name for f in (ROOT / "functions").iterdir() if (f / "__init__.py").exists()}
    assert set(imports.TARGETS) <= set(imports.FUNCTIONS)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("local")
def test_a_quick_run(tmp_path: Path):
    output, state = tmp_path / "bench.json", tmp_path / "state"
    command = [sys.executable, "-m", "infrastructure.bench", "--quick", "--output", str(output), "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(output.read_text())
    own = {f"import_{name}" for name in imports.FUNCTIONS} | {"first_answer_api"}
    own |= {f"sandbox_{language}" for language in ("python", "javascript", "shell")}
    assert set(written) == own | CRUD | RUNS | AMONG_MANY | set(TARGETS) | set(SIZES)
    for name, figure in written.items():
        assert set(figure) == {"value", "target", "unit", "detail"}, name
        assert figure["value"] > 0
        assert figure["detail"]["against"]
        assert name in done.stdout
    targets = {name: figure["target"] for name, figure in written.items() if figure["target"] is not None}
    assert targets == TARGETS | SIZES | dict.fromkeys(CRUD, 1.5)
    assert not (state / "stack.json").exists()  # it has stopped what it started
