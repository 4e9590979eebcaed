"""The settings with which Python in WebAssembly is compiled and run; both sides have to have the same."""

from __future__ import annotations

from typing import Any, Final

MEMORY: Final = 256 * 1024 * 1024


def engine(target: str | None) -> Any:
    """A wasmtime engine; `target` None is this machine."""
    import wasmtime

    config = wasmtime.Config()
    if target:
        config.target = target
    return wasmtime.Engine(config)
