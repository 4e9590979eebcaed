"""The sandbox function in this process, as `world.sandbox`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from functions.sandbox.boxes import answered
from infrastructure.package import interpreter
from shared.errors import AppError


class Boxes:
    """Runs requests for real; keeps them. `refuses`: what it raises instead."""

    def __init__(self, refuses: AppError | None = None) -> None:
        interpreter.installed()
        self.requests: list[Mapping[str, Any]] = []
        self._refuses = refuses

    def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.requests.append(request)
        if self._refuses:
            raise self._refuses
        return answered(request)[0]
