"""What goes into the archive of one function.

`sam build` with its own Python builder drops bytecode, without which a cold start takes twice as long; so the template
says `BuildMethod: makefile`, and the Makefile comes here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infrastructure.package.bytecode import compile_all

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = "3.13"
# The services that shared.aws makes clients for; botocore's descriptions of the other four hundred stay out.
SERVICES: Final = frozenset(
    {
        "apigatewaymanagementapi",
        "cognito-idp",
        "dynamodb",
        "events",
        "kms",
        "s3",
        "scheduler",
        "stepfunctions",
        "sts",
    }
)
_PLATFORMS: Final = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")  # Lambda's python3.13 has glibc 2.34
_KEPT_DATA: Final = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


def folder_of(logical_id: str) -> str:
    """`RunEventsFunction` is in `functions/run_events`. Raises LookupError if there is no such folder."""
    wanted = logical_id.removesuffix("Function").lower()
    for folder in sorted((ROOT / "functions").iterdir()):
        if folder.is_dir() and folder.name.replace("_", "") == wanted:
            return folder.name
    raise LookupError(f"no folder in functions/ for {logical_id}")


def build(logical_id: str, target: Path) -> None:
    """Fill `target` with what the function needs. Raises LookupError, CalledProcessError or BytecodeError."""
    name = folder_of(logical_id)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_libraries(ROOT / "functions" / name / "requirements.txt"), target, dirs_exist_ok=True)
    for source in own_sources(name):
        copy = target / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    compile_all(target)


def own_sources(name: str) -> Iterator[Path]:
    """The project's own files for one function: its folder and the two floors below."""
    yield ROOT / "functions" / "__init__.py"
    for package in (ROOT / "functions" / name, ROOT / "stepfunctions", ROOT / "shared"):
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "requirements.txt":
                yield path


def _libraries(requirements: Path) -> Path:
    """A folder with the libraries, made once for each set of requirements and pins."""
    constraints = ROOT / "constraints.txt"
    recipe = requirements.read_bytes() + constraints.read_bytes() + Path(__file__).read_bytes()
    folder = ROOT / ".local" / "package" / hashlib.sha256(recipe).hexdigest()[:16]
    if folder.exists():
        return folder
    scratch = folder.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(scratch), "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    command += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    command += ["--constraint", str(constraints), "--requirement", str(requirements)]
    subprocess.run(command, check=True)  # noqa: S603 - arguments of our own
    trim(scratch)
    scratch.rename(folder)
    return folder


def trim(folder: Path) -> None:
    """Remove what no function uses: other services' descriptions, command line tools, bytecode of elsewhere."""
    data = folder / "botocore" / "data"
    for entry in data.iterdir() if data.exists() else ():
        if entry.is_dir() and entry.name not in SERVICES:
            shutil.rmtree(entry)
        elif entry.is_file() and entry.name not in _KEPT_DATA:
            entry.unlink()
    for unused in (folder / "bin", folder / "boto3" / "data", folder / "boto3" / "examples"):
        shutil.rmtree(unused, ignore_errors=True)
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
