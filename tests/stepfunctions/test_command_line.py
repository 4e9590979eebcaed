"""The command line as somebody calls it: in a process of its own, by its words, its output and its exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.archive import ROOT
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.explain import explain
from tests.echo_server import EchoServer, serving
from tests.stepfunctions.compiler.documents import document, node

GOLDEN = ROOT / "tests" / "golden"
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SW_", "OPENAI_"))}
# What somebody may have in their environment, and what a run must not touch.
FOREIGN = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_PROFILE": "production", "SW_TABLE": "theirs"}


def command(*words: str, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
    return subprocess.run(
        [sys.executable, "-m", "stepfunctions", *words],
        cwd=ROOT,
        env={**PLAIN, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        **stdin,
    )


def golden(name: str) -> str:
    return str(GOLDEN / name / "document.json")


@pytest.fixture
def file(tmp_path: Path):
    """Writes a document into a file."""

    def write(made: Document) -> str:
        target = tmp_path / "document.json"
        target.write_text(made.model_dump_json())
        return str(target)

    return write


ASKING = document(
    [
        node("start", "manual_trigger"),
        node(
            "ask",
            "human_in_the_loop",
            {"title": "Refund {{ trigger.amount }}?", "timeout_seconds": 1, "on_timeout": "branch"},
        ),
        node("late", "transform", {"expression": "'nobody'"}),
        node("out", "output"),
    ],
    """start.trigger -> ask.input; ask.response -> out.value; ask.timeout -> late.input; late.output -> out.value""",
)
PATIENT = document(
    [
        node("start", "manual_trigger"),
        node(
            "ask",
            "human_in_the_loop",
            {
                "title": "Refund {{ trigger.amount }}?",
                "form": {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "number"}}},
            },
        ),
        node("out", "output"),
    ],
    "start.trigger -> ask.input; ask.response -> out.value",
)


def output_of(text: str) -> Any:
    return json.loads(text.split("\noutput\n")[1].split("\n\ntransitions")[0])


def row_of(text: str, name: str) -> list[str]:
    """The cells of the timeline's row of a node."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return re.split(r"\s{2,}", line)


# --- compile and explain ---------------------------------------------------------------------------------------------


def test_compile_prints_the_plan():
    done = command("compile", golden("question"))
    assert done.returncode == 0
    expected = json.loads((GOLDEN / "question" / "compiled.json").read_text())["plan"]
    assert json.loads(done.stdout) == {**expected, "version": 0}
    assert re.search(r"^warning +get +nodes\.get +.*\[unreachable\]$", done.stderr, re.MULTILINE)


def test_compile_reads_standard_input_and_prints_the_skeleton():
    text = Path(golden("granularity-node")).read_text()
    done = command("compile", "-", "--skeleton", given=text)
    plan = compile_document(Document.model_validate_json(text)).plan
    assert plan is not None
    assert (done.returncode, json.loads(done.stdout)) == (0, plan.skeleton)
    other = command("compile", "-", "--skeleton", "--granularity", "segment", given=text)
    assert json.loads(other.stdout) != plan.skeleton


@pytest.mark.parametrize("what", ["compile", "explain", "run"])
def test_a_document_with_errors(what: str):
    done = command(what, golden("everything-wrong"))
    assert (done.returncode, done.stdout) == (1, "")
    found = json.loads((GOLDEN / "everything-wrong" / "compiled.json").read_text())["diagnostics"]
    lines = done.stderr.splitlines()[1:]
    assert len(lines) == len(found)
    for line, diagnostic in zip(lines, found, strict=True):
        words = (diagnostic["severity"], diagnostic["node_id"] or "-", diagnostic["path"] or "-")
        assert line.split()[:3] == list(words)
        assert line.endswith(f"{diagnostic['message']} [{diagnostic['code']}]")


def test_explain():
    done = command("explain", golden("pure-chain"), "--json")
    plan = compile_document(Document.model_validate_json(Path(golden("pure-chain")).read_text())).plan
    assert plan is not None
    found = explain(plan)
    assert (done.returncode, json.loads(done.stdout)) == (0, json.loads(json.dumps(found)))
    text = command("explain", golden("pure-chain")).stdout
    assert re.search(r"^ +segment\.0 +runner +start double out$", text, re.MULTILINE)
    assert re.search(r"^ +segment\.0 +Task +-$", text, re.MULTILINE)
    assert "Longest path: states 1, calls 1\n  start → double → out" in text
    cost = f"{found['cost_per_1000_runs']['total']:.4f}"
    other = f"{found['one_state_per_node']['cost_per_1000_runs']['total']:.4f}"
    assert re.search(rf"^ +total, \$ per 1,000 runs +{cost} +{other}$", text, re.MULTILINE)
    for name in (*found["prices"], *found["assumed"]):
        assert name in text


# --- what it refuses -------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[list[str], str]] = {
    "no such file": (["compile", "nowhere.json"], "nowhere.json: No such file or directory"),
    "a folder": (["compile", "tests"], "tests: Is a directory"),
    "not JSON": (["explain", "README.md"], "README.md is not JSON"),
    "not a document": (["compile", "tests/golden/loop/compiled.json"], "plan: Extra inputs are not permitted"),
    "no command": ([], "required"),
    "an unknown command": (["build", golden("loop")], "build"),
    "an unknown option": (["compile", golden("loop"), "--fast"], "--fast"),
    "an unknown granularity": (["compile", golden("loop"), "--granularity", "atom"], "atom"),
    "input that is not JSON": (["run", golden("pure-chain"), "--input", "{x"], "--input is not JSON"),
    "input from nowhere": (["run", golden("pure-chain"), "--input", "@nowhere"], "nowhere: No such file"),
    "an answer without a node": (["run", golden("question"), "--answer", "approve"], "NODE=JSON"),
    "an answer to no question": (
        ["run", golden("question"), "--answer", "say=approve"],
        "no such question; there is ask",
    ),
    "an answer of no decision": (["run", golden("question"), "--answer", 'ask={"data": {}}'], "has a decision"),
    "an unknown decision": (["run", golden("question"), "--answer", 'ask="perhaps"'], "approve, "),
    "data that is no object": (
        ["run", golden("question"), "--answer", 'ask={"decision": "approve", "data": 1}'],
        "data is an object",
    ),
}


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD.keys())
def test_bad_words(words: list[str], message: str):
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_the_commands():
    done = command("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("compile", "explain", "run"))


def test_whoever_reads_may_stop_reading():
    words = [sys.executable, "-m", "stepfunctions", "compile", golden("question")]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, cwd=ROOT, env=PLAIN, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


# --- run -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo():
    with serving() as server:
        yield server


def calling(server: EchoServer, path: str) -> Document:
    url = {"url": f"{server.base}/{path}"}
    nodes = [node("start", "manual_trigger"), node("get", "http_request", inputs=url), node("out", "output")]
    return document(nodes, "start.trigger -> get.body; get.status -> out.value")


def test_run_prints_the_timeline(file, tmp_path: Path):
    given = tmp_path / "given.json"
    given.write_text("21")
    made = document(
        [
            node("start", "manual_trigger"),
            node("rest", "delay", {"ms": 300}),
            node("large", "condition", {"condition": "inputs.input > 100"}),
            node("double", "transform", {"expression": "inputs.input * 2"}),
            node("never", "transform", {"expression": "1"}),
            node("out", "output"),
        ],
        """start.trigger -> rest.input; rest.output -> large.input; large.false -> double.input
        large.true -> never.input; double.output -> out.value; never.output -> out.value""",
    )
    done = command("run", file(made), "--input", f"@{given}", **FOREIGN)
    assert (done.returncode, done.stderr) == (0, "")
    assert output_of(done.stdout) == 42
    assert row_of(done.stdout, "double")[1] == "completed"
    assert row_of(done.stdout, "double")[4] == '{"output": 42}'
    assert row_of(done.stdout, "never")[1:4] == ["skipped", "-", "-"]
    took = int(row_of(done.stdout, "rest")[3].removesuffix(" ms"))
    assert took >= 300
    assert int(row_of(done.stdout, "double")[2].removesuffix(" ms")) >= 300
    assert "\ntransitions  1 (explain: 1 to 1 " in done.stdout


@pytest.mark.parametrize(("granularity", "transitions"), [("segment", 1), ("node", 2)])
def test_run_counts_transitions(granularity: str, transitions: int, file, echo: EchoServer):
    nodes = [node("start", "manual_trigger"), *(_get(echo, name) for name in "ab"), node("out", "output")]
    made = document(nodes, "start.trigger -> a.body; a.status -> b.body; b.status -> out.value")
    done = command("run", file(made), "--granularity", granularity, "--allow", echo.host)
    assert (done.returncode, output_of(done.stdout)) == (0, 200)
    assert f"\ntransitions  {transitions} (explain: {transitions} to {transitions} " in done.stdout


def _get(server: EchoServer, name: str) -> dict[str, Any]:
    return node(name, "http_request", inputs={"url": f"{server.base}/echo"})


def test_a_run_that_fails(file, echo: EchoServer):
    done = command("run", file(calling(echo, "status/404")), "--allow", echo.host, "--logs")
    assert done.returncode == 1
    assert row_of(done.stdout, "get")[1] == "failed"
    assert row_of(done.stdout, "out")[1] == "cancelled"
    assert "\nerror  HttpError in get: " in done.stdout
    assert '"service":"runner"' in done.stderr


def test_private_addresses_are_refused_unless_allowed(file, echo: EchoServer):
    before = len(echo.seen)
    done = command("run", file(calling(echo, "echo")), SW_ALLOWED_HOSTS=echo.host)
    assert done.returncode == 1
    assert len(echo.seen) == before


def test_answers(file):
    answer = 'ask={"decision": "approve", "data": {"sum": 3}, "comment": "fine"}'
    done = command("run", file(PATIENT), "--input", '{"amount": 3}', "--answer", answer)
    assert done.returncode == 0, done.stderr
    found = output_of(done.stdout)
    assert (found["decision"], found["data"], found["comment"]) == ("approved", {"sum": 3}, "fine")
    assert "\ntransitions  2 " in done.stdout


def test_an_answer_that_the_form_refuses(file):
    done = command("run", file(PATIENT), "--answer", "ask=approve")
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not fit the form" in done.stderr


def test_a_question_that_nobody_answers(file):
    done = command("run", file(ASKING), "--answer", "ask=null")
    assert (done.returncode, output_of(done.stdout)) == (0, "nobody")


def test_a_question_without_a_terminal(file):
    done = command("run", file(PATIENT))
    assert (done.returncode, done.stdout) == (1, "")
    assert "waits for an answer to ask" in done.stderr
    assert "--answer ask=approve" in done.stderr


def test_a_question_at_the_terminal(file):
    """Asked until the answer fits: an unknown decision, data that the form refuses, then both right."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "stepfunctions", "run", file(PATIENT), "--input", '{"amount": 3}']
    running = subprocess.Popen(
        words, cwd=ROOT, env=PLAIN, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    os.write(ours, b'perhaps\napprove\n{"sum": "x"}\n{"sum": 3}\n\n')
    shown, asked = running.communicate(timeout=60)
    os.close(ours)
    assert running.returncode == 0, asked
    assert output_of(shown)["data"] == {"sum": 3}
    assert "ask: Refund 3?" in asked
    assert "one of approve, reject or submit" in asked
    assert "$.sum" in asked


def test_several_triggers(file):
    made = document(
        [
            node("hand", "manual_trigger"),
            node("hook", "http_webhook"),
            node("which", "transform", {"expression": "nodes.hook.body"}),
            node("out", "output"),
        ],
        "which.output -> out.value",
    )
    done = command("run", file(made), "--trigger", "hook", "--input", '{"body": {"a": 1}}')
    assert (done.returncode, output_of(done.stdout)) == (0, {"a": 1})
    wrong = command("run", file(made), "--trigger", "nobody")
    assert wrong.returncode == 1
    assert "there is no trigger nobody" in wrong.stderr


def test_input_that_its_schema_refuses(file):
    schema = {"type": "object", "required": ["amount"]}
    made = document(
        [node("start", "manual_trigger", {"input_schema": schema}), node("out", "output")],
        "start.trigger -> out.value",
    )
    done = command("run", file(made), "--input", "{}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "trigger_data: " in done.stderr


def test_an_interrupted_run_ends(file, echo: EchoServer, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while a node waits for an answer from the network ends the process at once."""
    arrived, hold = threading.Event(), echo.hold

    def noticed(mark: str) -> None:
        arrived.set()
        hold(mark)

    monkeypatch.setattr(echo, "hold", noticed)
    words = [sys.executable, "-m", "stepfunctions", "run", file(calling(echo, "held?mark=cli")), "--allow", echo.host]
    running = subprocess.Popen(
        words, cwd=ROOT, env=PLAIN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert arrived.wait(30)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=15)
        assert (running.returncode, said) == (130, "")
    finally:
        echo.release("cli")
        running.kill()
        running.communicate()


def test_without_the_development_libraries(tmp_path: Path):
    """Compiling needs none of them; running says which is missing."""
    (tmp_path / "moto").mkdir()
    (tmp_path / "moto" / "__init__.py").write_text("raise ModuleNotFoundError('no moto', name='moto')")
    assert command("compile", golden("pure-chain"), PYTHONPATH=str(tmp_path)).returncode == 0
    done = command("run", golden("pure-chain"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "run needs moto, which is not installed" in done.stderr
