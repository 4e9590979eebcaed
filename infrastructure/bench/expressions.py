"""The expression engines side by side: right answers on a folder of test cases, and speed on inputs of our own.

python -m infrastructure.bench.expressions [--suite DIR] [--rounds N]

DIR is laid out as the JSONata project's test-suite: `groups/<group>/*.json` (a case or a list of cases) and
`datasets/*.json`.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import jsonata
import jsonatapy

_CODE: Final = re.compile(r"\b([STDU]\d{4})\b")
_MISSING: Final = object()

# What an engine makes of a case: `("value", v)`, `("undefined", None)` or `("error", text)`.
Answer = tuple[str, Any]
Run = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """`compiled(expression, data)` is what to call, again and again, for the value."""

    name: str
    answer: Callable[[Mapping[str, Any], Any], Answer]
    compiled: Callable[[str, Any], Run]


def _rust_answer(case: Mapping[str, Any], data: Any) -> Answer:
    found = jsonatapy.compile(
        case["expr"], timeout=int(case.get("timelimit", 10_000)), max_stack_depth=int(case.get("depth", 500))
    )
    text = None if data is _MISSING else json.dumps(data)
    value = found.evaluate_json_or_none(text, case.get("bindings") or None)
    return ("undefined", None) if value is None else ("value", json.loads(value))


def _rust_compiled(expression: str, data: Any) -> Run:
    found = jsonatapy.compile(expression, timeout=60_000, max_stack_depth=500, max_sequence_length=1_000_000)
    return lambda: found.evaluate(data)


def _python_answer(case: Mapping[str, Any], data: Any) -> Answer:
    found = jsonata.Jsonata(case["expr"])
    frame = found.create_frame()
    for name, value in (case.get("bindings") or {}).items():
        frame.bind(name, value)
    frame.set_runtime_bounds(int(case.get("timelimit", 10_000)), int(case.get("depth", 500)))
    value = found.evaluate(None if data is _MISSING else data, frame)
    # It answers None for null and for undefined; both count as right.
    return ("undefined", None) if value is None else ("value", value)


def _python_compiled(expression: str, data: Any) -> Run:
    found = jsonata.Jsonata(expression)
    return lambda: found.evaluate(data)


ENGINES: Final = (
    Engine("jsonatapy", _rust_answer, _rust_compiled),
    Engine("jsonata-python", _python_answer, _python_compiled),
)


def cases(suite: Path) -> Iterator[tuple[str, str, Mapping[str, Any], Any]]:
    """Group, name, case and data of everything in a suite's folder."""
    datasets = {f.stem: json.loads(f.read_text()) for f in sorted((suite / "datasets").glob("*.json"))}
    for file in sorted((suite / "groups").glob("*/*.json")):
        loaded = json.loads(file.read_text())
        for number, case in enumerate(loaded if isinstance(loaded, list) else [loaded]):
            if "expr-file" in case:
                case["expr"] = (file.parent / case["expr-file"]).read_text()
            data = case["data"] if "data" in case else datasets.get(case.get("dataset"), _MISSING)
            yield file.parent.name, f"{file.stem}[{number}]" if isinstance(loaded, list) else file.stem, case, data


def judge(engine: Engine, case: Mapping[str, Any], data: Any) -> str | None:
    """None if the engine is right about a case, else what it said. A failure with another code is right."""
    kind, value = _answer(engine, case, data)
    if _expected_code(case) is not None:
        return None if kind == "error" else f"no error but {_short(value)}"
    expected = case.get("result")
    if kind == "error":
        return str(value).splitlines()[0][:150]
    if case.get("unordered") and isinstance(value, list) and isinstance(expected, list):
        value, expected = sorted(value, key=json.dumps), sorted(expected, key=json.dumps)
    if kind == "undefined":
        loose = engine.name == "jsonata-python" and expected is None
        return None if case.get("undefinedResult") or loose else "undefined"
    return None if "result" in case and same(value, expected) else f"{_short(value)} for {_short(expected)}"


def _answer(engine: Engine, case: Mapping[str, Any], data: Any) -> Answer:
    try:
        return engine.answer(case, data if data is _MISSING else copy.deepcopy(data))
    except Exception as error:  # engines raise their own and Python's errors alike
        return "error", f"{type(error).__name__} {getattr(error, 'error', '')}: {error}"


def _expected_code(case: Mapping[str, Any]) -> str | None:
    code = case["code"] if "code" in case else case.get("error", {}).get("code")
    return str(code) if code is not None else None


def same(left: Any, right: Any) -> bool:
    """Equality as JSON: `1` and `1.0` are one number, `true` and `1` are two values."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return bool(left == right)


def _short(value: Any) -> str:
    return json.dumps(value, default=str)[:100]


def conformance(suite: Path) -> str:
    """A table of groups with the right answers of each engine, what failed below it."""
    right: dict[str, dict[str, int]] = {}
    coded = dict.fromkeys((e.name for e in ENGINES), 0)
    failing = 0
    count: dict[str, int] = {}
    wrong: list[str] = []
    for group, name, case, data in cases(suite):
        count[group] = count.get(group, 0) + 1
        code = _expected_code(case)
        failing += code is not None
        for engine in ENGINES:
            said = judge(engine, case, data)
            coded[engine.name] += code is not None and code in _CODE.findall(str(_answer(engine, case, data)[1]))
            of_group = right.setdefault(group, dict.fromkeys((e.name for e in ENGINES), 0))
            of_group[engine.name] += said is None
            if said is not None:
                wrong.append(f"{engine.name:15} {group}/{name}: {said}")
    names = [engine.name for engine in ENGINES]
    lines = [f"{'group':34}{'cases':>7}" + "".join(f"{n:>16}" for n in names)]
    lines += [f"{g:34}{n:>7}" + "".join(f"{right[g][e]:>16}" for e in names) for g, n in count.items()]
    totals = [sum(of_group[name] for of_group in right.values()) for name in names]
    lines.append(f"{'all':34}{sum(count.values()):>7}" + "".join(f"{n:>16}" for n in totals))
    lines.append(f"{'failing, with the very code':34}{failing:>7}" + "".join(f"{coded[n]:>16}" for n in names))
    return "\n".join([*lines, "", *sorted(wrong)])


def workloads() -> dict[str, tuple[str, Any, int]]:
    """Name → expression, data, and how often it is evaluated in a round."""
    rows = [{"id": f"r{i}", "n": i, "tags": ["a", "b"], "who": {"name": f"Name {i}"}} for i in range(1_000)]
    deep: Any = {"value": 42}
    for level in range(20, 0, -1):
        deep = {f"p{level}": deep}
    path = ".".join(f"p{level}" for level in range(1, 21)) + ".value"
    blob = {"lines": [{"id": i, "text": "x" * 480, "n": i % 7} for i in range(10_000)]}  # 5 MB as JSON
    return {
        "small": ("trigger.n + 1 > 2", {"trigger": {"n": 3}}, 2_000),
        "map_merge_1000": ("$map(rows, function($r) {$merge([$r, {'double': $r.n * 2}])})", {"rows": rows}, 1),
        "deep_path": (path, deep, 1_000),
        "text": ("$join(rows[n < 100].(id & ': ' & $uppercase(who.name)), ', ')", {"rows": rows}, 3),
        "per_item_10000": ("item.n * 2 + index", {"item": rows[7], "index": 7}, 10_000),
        "input_5_mb": ("$sum(blob.lines[n = 3].id)", {"blob": blob}, 1),
    }


def speed(rounds: int) -> str:
    """Milliseconds of one evaluation per engine, medians of rounds in turn, and the second's ratio to the first."""
    lines = [f"{'workload':18}" + "".join(f"{e.name + ' ms':>20}" for e in ENGINES) + f"{'ratio':>8}"]
    for name, (expression, data, times) in workloads().items():
        runs = [engine.compiled(expression, data) for engine in ENGINES]
        answers = [run() for run in runs]
        if not all(same(answers[0], other) for other in answers[1:]):
            raise SystemExit(f"{name}: the engines do not agree")
        taken: list[list[float]] = [[] for _ in ENGINES]
        for _ in range(rounds):
            for run, kept in zip(runs, taken, strict=True):
                kept.append(_milliseconds(run, times))
        middle = [median(kept) for kept in taken]
        lines.append(f"{name:18}" + "".join(f"{ms:>20.4f}" for ms in middle) + f"{middle[1] / middle[0]:>8.1f}")
    parsing = [median(_parsing(engine) for _ in range(rounds)) for engine in ENGINES]
    lines.append(f"{'parse':18}" + "".join(f"{ms:>20.4f}" for ms in parsing) + f"{parsing[1] / parsing[0]:>8.1f}")
    return "\n".join(lines)


def _parsing(engine: Engine) -> float:
    return _milliseconds(lambda: engine.compiled("trigger.rows[n > 3].{'id': id, 'name': $uppercase(name)}", {}), 100)


def _milliseconds(run: Run, times: int) -> float:
    gc.collect()
    began = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - began) * 1_000 / times


def main() -> int:
    """Compare."""
    wanted = argparse.ArgumentParser(prog="infrastructure.bench.expressions", description="The engines, side by side.")
    wanted.add_argument("--suite", type=Path, help="the folder of the JSONata project's test cases")
    wanted.add_argument("--rounds", type=int, default=7, help="rounds of each workload")
    given = wanted.parse_args()
    if given.suite is not None:
        print(conformance(given.suite), end="\n\n")
    print(speed(given.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
