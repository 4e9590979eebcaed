"""Compiles an archive with Python 3.13, whichever Python runs here.

Bytecode is of one minor version of Python and of no platform. Used is, in this order: this interpreter, a `python3.13`
on the PATH or of pyenv, and else Pyodide, which is CPython 3.13 for Node.js (npm brings it).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

VERSION: Final = (3, 13)
_PYODIDE: Final = "pyodide@0.29.5"  # the last line of Pyodide that is Python 3.13
_SCRIPT: Final = Path(__file__).with_name("bytecode.mjs")
_FOLDER: Final = Path(__file__).resolve().parents[2] / ".local" / "pyodide"


class BytecodeError(Exception):
    """There is nothing on this machine to compile with, or a file does not compile."""


def compile_all(folder: Path) -> None:
    """Write the bytecode of every module under `folder`, never to be checked against its source. BytecodeError."""
    python = find_python()
    if python is not None:
        command = [python, "-m", "compileall", "-q", "-o", "0", "-d", "/var/task"]
        command += ["--invalidation-mode", "unchecked-hash", str(folder)]
    else:
        command = [_node(), str(_install_pyodide()), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - arguments of our own
    if done.returncode:
        raise BytecodeError(f"some modules do not compile:\n{done.stdout}{done.stderr}")


def find_python() -> str | None:
    """An interpreter of Python 3.13, if this machine has one that runs."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.13.*/bin/python3.13"))
    for candidate in (sys.executable, shutil.which("python3.13"), *map(str, reversed(pyenv))):
        if candidate is None:
            continue
        asked = [candidate, "-c", f"import sys; sys.exit(sys.version_info[:2] != {VERSION})"]
        # A version manager puts commands on the PATH that only say that the version is not selected.
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:  # noqa: S603 - our own arguments
            return candidate
    return None


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise BytecodeError("the archives need bytecode for Python 3.13: install python3.13, or Node.js with npm")
    return node


def _install_pyodide() -> Path:
    """The script, put beside the package that it imports."""
    if not (_FOLDER / "node_modules" / "pyodide").exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        command = [str(shutil.which("npm")), "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(_FOLDER)]
        subprocess.run([*command, _PYODIDE], check=True)  # noqa: S603 - arguments of our own
    return Path(shutil.copy(_SCRIPT, _FOLDER))
