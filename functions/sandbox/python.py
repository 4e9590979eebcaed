"""Python: CPython in WebAssembly. It has memory, a clock and randomness; files, sockets and processes it has not."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import component

from functions.sandbox.wasm import MEMORY, engine


def prepare() -> Callable[[bytes], bytes]:
    """An interpreter that is ready for one request. Raises ModuleNotFoundError if it was never compiled."""
    found = find_spec("statewright_python")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("statewright_python")
    folder = Path(found.origin).parent
    machine = engine((folder / "target").read_text() or None)
    store = wasmtime.Store(machine)
    store.set_limits(memory_size=MEMORY)
    store.set_wasi(wasmtime.WasiConfig())  # nothing: no arguments, no variables, no folders, no open ends
    linker = component.Linker(machine)
    linker.add_wasip2()
    program = component.Component.deserialize_file(machine, str(folder / "machine.cwasm"))
    run: Any = linker.instantiate(store, program).get_func(store, "run")

    def work(request: bytes) -> bytes:
        asked = json.loads(request)
        try:
            answer = run(store, json.dumps({"code": asked["code"], "input": asked["input"]}))
        except (wasmtime.Trap, wasmtime.ExitTrap, wasmtime.WasmtimeError) as error:
            return json.dumps(_ended(error)).encode()
        return str(answer).encode()

    return work


def _ended(error: Exception) -> dict[str, Any]:
    """What is said of an interpreter that has ended itself."""
    exhausted = "call stack exhausted" in str(error)
    said = "the code called itself too deeply" if exhausted else "the code ended its interpreter"
    return {"error": "CodeFailed", "message": said, "stdout": ""}
