"""The bench: how figures are made, and a quick run of all of it on a local AWS of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.bench import imports, transitions
from infrastructure.bench.figures import Figure, compared, rounds, table, write

ROOT = Path(__file__).resolve().parents[2]
CRUD = {f"crud_{what}" for what in ("create", "read", "list", "update")}
RUNS = {
    "run_webhook_ten_transforms",
    "run_twenty_branches",
    "run_loop_hundred_items",
    "run_loop_hundred_requests",
    "run_human_answer",
}


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
    assert 0 < figure.detail["against_a_state_for_every_node"] < figure.value <= 1
    assert figure.detail["documents"] == 11
    assert figure.detail["data-cleanup"].startswith("1/1/")  # all pure: one state, however it is cut


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
    own = {f"import_{name}" for name in imports.FUNCTIONS} | {"first_answer_api", "transitions_per_run"}
    assert set(written) == own | CRUD | RUNS
    for name, figure in written.items():
        assert set(figure) == {"value", "target", "unit", "detail"}, name
        assert figure["value"] > 0
        assert figure["detail"]["against"]
        assert name in done.stdout
    targets = {name: figure["target"] for name, figure in written.items() if figure["target"] is not None}
    assert targets == {"import_api": 1.2, "import_runner": 0.6, **dict.fromkeys(CRUD, 1.5)}
    assert not (state / "stack.json").exists()  # it has stopped what it started
