"""CPython in WebAssembly, for the sandbox: made from componentize-py's CPython and `functions/sandbox/guest`.

It is compiled twice: to WebAssembly, which takes six seconds and is the same everywhere, and by wasmtime to the machine
code of the processor it will run on. So the sandbox function's archive is best made on a machine of the function's own
architecture; anywhere else it gets wasmtime's portable code, which does the same, some 20 times as slowly.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
GUEST: Final = ROOT / "functions" / "sandbox" / "guest"
PACKAGE: Final = "statewright_python"  # a package without code: `machine.cwasm`, and the mark of what it was made of
_COMPONENTIZE: Final = "import componentize_py; componentize_py.script()"
PORTABLE: Final = "pulley64"
FUNCTION_TARGET: Final = "x86_64-unknown-linux-gnu"  # of the sandbox function in template.yaml


def installed() -> Path:
    """The interpreter for this machine, among this Python's libraries; made if it is not there, or is an old one."""
    folder = Path(sysconfig.get_path("purelib")) / PACKAGE
    if not _is_current(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{PACKAGE}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_current(folder):
                build(folder, None)
    return folder


def for_function(archive: Path) -> None:
    """The interpreter for the function, into its archive."""
    same = (sys.platform, platform.machine()) == ("linux", "x86_64")
    if not same:
        print("the sandbox's Python will be slow: build on Linux, x86-64, for machine code", file=sys.stderr)
    build(archive / PACKAGE, FUNCTION_TARGET if same else PORTABLE)


def build(folder: Path, target: str | None) -> None:
    """Write the package. `target` is for whom: None for this machine. Raises CalledProcessError, WasmtimeError."""
    from wasmtime import component

    from functions.sandbox.wasm import engine

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        portable = Path(scratch) / "python.wasm"
        command = [sys.executable, "-c", _COMPONENTIZE, "-d", str(GUEST), "-w", "sandbox", "componentize", "app"]
        command += ["-p", str(GUEST), "-o", str(portable)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - arguments of our own
        machine = component.Component.from_file(engine(target), str(portable)).serialize()
    (folder / "__init__.py").write_text("")
    (folder / "target").write_text(target or "")
    (folder / "machine.cwasm").write_bytes(machine)
    (folder / "mark").write_text(_mark())


def _is_current(folder: Path) -> bool:
    mark = folder / "mark"
    return mark.exists() and mark.read_text() == _mark()


def _mark() -> str:
    """What the interpreter is made of."""
    digest = hashlib.sha256()
    for path in (*sorted(p for p in GUEST.iterdir() if p.is_file()), Path(__file__), GUEST.parent / "wasm.py"):
        digest.update(path.read_bytes())
    for library in ("componentize-py", "wasmtime"):
        digest.update(metadata.version(library).encode())
    return digest.hexdigest()
