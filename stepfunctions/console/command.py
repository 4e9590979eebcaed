"""The commands and their exit codes: 0 done, 1 the document has errors or its run failed, 2 nothing could be read."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.nodes.base import Question
from shared.nodes.registry import find
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.console import given
from stepfunctions.console.text import diagnostics, explained
from stepfunctions.explain import explain
from stepfunctions.plan import Plan

OK, FAILED, UNREADABLE = 0, 1, 2
# What runs a document in this process. It stands on development's libraries and on the functions above this floor,
# neither of which is there where the product runs; so it is named, not imported.
_RUNNER: Final = "infrastructure.local.single_run"


def main(words: Sequence[str]) -> int:
    """Do what the words say; gives the exit code."""
    options = _parser().parse_args(words)
    act: Callable[[argparse.Namespace, Document, Plan], int] = options.act
    try:
        document = given.document(options.file, options.granularity)
        compiled = compile_document(document)
        if compiled.diagnostics:
            print(diagnostics(compiled.diagnostics), file=sys.stderr)
        return FAILED if compiled.plan is None else act(options, document, compiled.plan)
    except given.Unreadable as error:
        print(f"error: {error}", file=sys.stderr)
        return UNREADABLE
    except BrokenPipeError:  # such as `| head`: whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _compile(options: argparse.Namespace, _: Document, plan: Plan) -> int:
    print(_json(dict(plan.skeleton) if options.skeleton else plan.as_dict()))
    return OK


def _explain(options: argparse.Namespace, _: Document, plan: Plan) -> int:
    found = explain(plan)
    print(_json(found) if options.json else explained(plan.name, found))
    return OK


def _run(options: argparse.Namespace, document: Document, plan: Plan) -> int:
    trigger, answers = given.value(options.input), given.answers(options.answer)
    asked = [n.id for n in plan.nodes.values() if n.kind == "question" and isinstance(find(n.type), Question)]
    for node in answers:
        if node not in asked:
            raise given.Unreadable(f"--answer {node}: there is no such question; there is {', '.join(asked) or 'none'}")
    try:
        runner = importlib.import_module(_RUNNER)
    except ModuleNotFoundError as error:
        raise given.Unreadable(
            f"run needs {error.name}, which is not installed: it comes with the project's development libraries "
            "(make setup)"
        ) from None
    done: bool = runner.run(
        document, plan, trigger, trigger_node=options.trigger, answers=answers, allow=options.allow, logs=options.logs
    )
    return OK if done else FAILED


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stepfunctions", description=f"A workflow document, compiled, explained or run. {__doc__}"
    )
    commands = parser.add_subparsers(required=True, metavar="compile|explain|run")

    def command(name: str, act: Callable[[argparse.Namespace, Document, Plan], int], what: str) -> Any:
        made = commands.add_parser(name, help=what, description=what)
        made.add_argument("file", metavar="FILE", help="the document, as JSON; - for standard input")
        made.add_argument("--granularity", choices=("segment", "node"), help="instead of the document's own")
        made.set_defaults(act=act)
        return made

    compiling = command("compile", _compile, "print the plan as JSON; problems go to standard error")
    compiling.add_argument("--skeleton", action="store_true", help="only the state machine's definition")
    explaining = command("explain", _explain, "print what the plan is made of and what a run costs")
    explaining.add_argument("--json", action="store_true", help="as JSON")
    running = command("run", _run, "run the document once, in this process, and print its timeline")
    running.add_argument("--input", metavar="JSON|@FILE", help="the trigger's data")
    running.add_argument("--trigger", metavar="NODE", help="the trigger to start at, if there are several")
    running.add_argument(
        "--answer",
        metavar="NODE=JSON",
        action="append",
        default=[],
        help="the answer to a human task: a decision such as approve, {decision, data, comment}, or null: nobody does",
    )
    running.add_argument(
        "--allow",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="nodes may go there though it is private",
    )
    running.add_argument("--logs", action="store_true", help="the functions' log lines, on standard error")
    return parser
