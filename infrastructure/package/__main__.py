"""`python -m infrastructure.package build LOGICAL_ID FOLDER` and `… table FOLDER` (after `sam build`)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from infrastructure.package.build import build
from infrastructure.package.bytecode import BytecodeError

_ZIPPED: Final = 50_000_000  # bytes that Lambda takes directly, and that a cold start loads quickly
_BY_S3: Final = frozenset({"DocumentsFunction"})  # larger ones go by S3, as `sam deploy` sends all of them
_UNZIPPED: Final = 250_000_000


def measure(folder: Path) -> tuple[int, int]:
    """Bytes of a folder, zipped and as they are."""
    plain = 0
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                plain += path.stat().st_size
                archive.write(path, path.relative_to(folder))
        return file.tell(), plain


def table(folder: Path) -> int:
    """Print the size of every function's archive; 1 if one is too large for Lambda, or none is there."""
    archives = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.exists() else []
    print(f"{'function':24}{'zipped MB':>12}{'unzipped MB':>14}")
    fits = bool(archives)
    for archive in archives:
        zipped, plain = measure(archive)
        good = (zipped < _ZIPPED or archive.name in _BY_S3) and plain < _UNZIPPED
        fits = fits and good
        print(f"{archive.name:24}{zipped / 1e6:>12.1f}{plain / 1e6:>14.1f}{'' if good else '   TOO LARGE'}")
    return 0 if fits else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infrastructure.package", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build")
    building.add_argument("logical_id")
    building.add_argument("folder", type=Path)
    commands.add_parser("table").add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        if options.command == "table":
            return table(options.folder)
        build(options.logical_id, options.folder)
    except (LookupError, BytecodeError, FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
