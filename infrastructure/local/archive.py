"""The archive that the local AWS runs: the project's own sources with their bytecode, as `make package` has them.

The libraries are left out: the local functions see those of the environment that started them.
"""

from __future__ import annotations

import hashlib
import io
import py_compile
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final

PACKAGES: Final = ("functions", "shared", "stepfunctions")
ROOT: Final = Path(__file__).resolve().parents[2]


def sources() -> Iterator[Path]:
    """Every file of the packages that run in functions, in a stable order."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".txt":
                yield path


def fingerprint() -> str:
    """16 hex digits that change when a source does."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build() -> bytes:
    """A zip file. A source that does not compile goes in without bytecode: the function that needs it says so."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sources():
            name = str(path.relative_to(ROOT))
            archive.write(path, name)
            compiled = Path(scratch) / "module.pyc"
            if path.suffix == ".py" and _compile(path, name, compiled):
                archive.write(compiled, cache_from_source(name))
    return buffer.getvalue()


def _compile(path: Path, name: str, target: Path) -> bool:
    try:
        py_compile.compile(
            str(path),
            cfile=str(target),
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError:
        return False
    return True
