"""The Python client: generated from the OpenAPI document, with the friendly face of `client/statewright`.

python -m infrastructure.client [--wheel] [DIR]     DIR: .local/client
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infrastructure.local.archive import ROOT

_FACE: Final = ROOT / "client"
_DOCUMENT: Final = ROOT / "docs" / "openapi.json"
_DEFAULT: Final = ROOT / ".local" / "client"


class NotGenerated(Exception):
    """The generator did not make all of the client."""


def build(folder: Path) -> Path:
    """Make the package `statewright` in this folder, which is emptied first; gives the folder. Raises NotGenerated."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "generated"
        command = [
            sys.executable,
            "-m",
            "openapi_python_client",
            "generate",
            "--path",
            str(_DOCUMENT),
            "--meta",
            "none",
        ]
        command += ["--config", str(_FACE / "generator.yaml"), "--output-path", str(made), "--fail-on-warning"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        if done.returncode != 0:
            raise NotGenerated(f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_FACE, folder)
        (made / "__init__.py").unlink()  # the face has its own
        shutil.copytree(made, folder / "statewright", dirs_exist_ok=True)
    return folder


def main() -> int:
    """Build it, and a wheel of it where that is wanted."""
    wanted = argparse.ArgumentParser(prog="make client", description="The Python client.")
    wanted.add_argument("folder", nargs="?", type=Path, default=_DEFAULT)
    wanted.add_argument("--wheel", action="store_true", help="a wheel beside it, in dist/")
    given = wanted.parse_args()
    try:
        folder = build(given.folder)
    except NotGenerated as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    if given.wheel:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder / "dist")]
        subprocess.run([*pip, str(folder)], check=True)  # noqa: S603 - no shell
        print(next((folder / "dist").glob("*.whl")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
