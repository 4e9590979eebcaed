"""The sandbox's start: the least that can be asked of it, against a Python process that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Final

from functions.sandbox.boxes import answered
from infrastructure.bench.figures import Figure, compared, rounds
from infrastructure.bench.sides import BenchFailed
from infrastructure.package import interpreter

_AGAINST: Final = "a Python process that starts and ends (-I -S -c pass); milliseconds by the wall"
_LEAST: Final[dict[str, dict[str, Any]]] = {
    "python": {"code": "1", "input": None},
    "javascript": {"code": "1", "input": None},
    "shell": {"command": "true", "stdin": ""},
}


def measure(count: int, seconds: float) -> list[Figure]:
    """`sandbox_<language>`: a whole request, from its start to its answer."""
    interpreter.installed()
    ours: dict[str, list[float]] = {language: [] for language in _LEAST}
    bare: list[float] = []
    for language in _LEAST:
        _request(language)  # brings the files into memory
    for _ in rounds(count, seconds):
        bare.append(_bare())
        for language in _LEAST:
            ours[language].append(_request(language))
    return [compared(f"sandbox_{language}", ours[language], bare, against=_AGAINST) for language in _LEAST]


def _request(language: str) -> float:
    began = time.perf_counter()
    answer, _ = answered({"language": language, "seconds": 10, **_LEAST[language]})
    if "error" in answer:
        raise BenchFailed(f"the sandbox answers {answer}")
    return (time.perf_counter() - began) * 1000


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True, env={})
    return (time.perf_counter() - began) * 1000
