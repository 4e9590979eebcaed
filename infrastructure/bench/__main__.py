"""Measure everything, print it, write `.local/bench.json`. A missed target is said, and is no failure.

python -m infrastructure.bench [--quick]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from infrastructure.bench import compiler, crud, engine, imports, retrieval, runs, sandbox, sizes, transitions
from infrastructure.bench.bare.deploy import deploy
from infrastructure.bench.figures import Figure, table, write
from infrastructure.bench.sides import BenchFailed, Sides
from infrastructure.demo import orders
from infrastructure.local.archive import ROOT
from infrastructure.local.process import LocalError
from infrastructure.local.stack import running, start

_STATE: Final = ROOT / ".local" / "bench"
_OUTPUT: Final = ROOT / ".local" / "bench.json"
# Rounds, and the seconds after which no further round begins.
_IMPORTS: Final = {False: (15, 80.0), True: (2, 10.0)}
_SANDBOX: Final = {False: (20, 20.0), True: (2, 5.0)}
_CRUD: Final = {False: (100, 30.0), True: (5, 5.0)}
_SIZES: Final = {False: (15, 10_000, 100_000), True: (3, 200, 500)}  # rounds, workflows, runs
_RUNS: Final = {False: (15, 60.0), True: (2, 10.0)}
_COMPILER: Final = {False: (5, 200), True: (1, 5)}  # rounds, random graphs
_ENGINE: Final = {False: (5, 900, 10_000), True: (1, 100, 1_000)}  # rounds, nodes, items

_RETRIEVAL: Final = {False: (200, 10_000, 50_000), True: (5, 1_000, 2_000)}  # rounds, passages


def main() -> int:
    """Measure."""
    wanted = argparse.ArgumentParser(prog="make bench", description="Figures, as ratios measured in one run.")
    wanted.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    wanted.add_argument("--state", type=Path, default=_STATE, help="where the local AWS keeps its state")
    wanted.add_argument("--output", type=Path, default=_OUTPUT, help="the JSON file to write")
    given = wanted.parse_args()
    began = time.monotonic()
    try:
        _say("imports …")
        figures = imports.measure(*_IMPORTS[given.quick])
        _say("sandbox …")
        figures += sandbox.measure(*_SANDBOX[given.quick])
        _say("compiler and engine …")
        figures += [*transitions.measure(), *compiler.measure(*_COMPILER[given.quick])]
        figures += engine.measure(*_ENGINE[given.quick])
        _say("retrieval …")
        figures += retrieval.measure(*_RETRIEVAL[given.quick])
        figures += _on_local_aws(given.state, quick=given.quick)
    except (BenchFailed, LocalError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    write(figures, given.output)
    print(table(figures))
    missed = [figure.name for figure in figures if figure.met == "NO"]
    print(
        f"\nIn {time.monotonic() - began:.0f} s; " + (f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    )
    return 0


def _on_local_aws(state: Path, *, quick: bool) -> list[Figure]:
    if state.exists() and not running(state):
        shutil.rmtree(state)  # each time the same: an empty table
    with orders.serving() as host:
        _say("starting the local AWS …")
        stack = start(state, [host])
        try:
            with Sides(stack, deploy(stack)) as sides:
                _say("CRUD …")
                figures = crud.measure(sides, *_CRUD[quick])
                _say("runs …")
                figures += runs.measure(sides, host, *_RUNS[quick])
                _say("sizes …")
                return [*figures, *sizes.measure(sides, *_SIZES[quick])]
        finally:
            stack.stop()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
