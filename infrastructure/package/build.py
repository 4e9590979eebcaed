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
from infrastructure.package.interpreter import for_function

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = "3.13"
# The services that shared.aws makes clients for; botocore's descriptions of the other four hundred stay out.
SERVICES: Final = frozenset(
    {
        "apigatewaymanagementapi",
        "bedrock-runtime",
        "cognito-idp",
        "dynamodb",
        "events",
        "kms",
        "lambda",
        "s3",
        "s3vectors",
        "scheduler",
        "sqs",
        "stepfunctions",
        "sts",
    }
)
_PLATFORMS: Final = ("manylinux2014", "manylinux_2_28")  # Lambda's python3.13 has glibc 2.34
# With the sources of all its libraries it would be over the 250 MB that AWS takes unzipped.
WITHOUT_SOURCES: Final = frozenset({"documents"})
_LISTS_SOURCES: Final = ("apprise",)  # finds its services by the names of their sources
ON_X86: Final = frozenset({"SandboxFunction"})  # as template.yaml has it; all others run on arm64
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
    name, machine = folder_of(logical_id), "x86_64" if logical_id in ON_X86 else "aarch64"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_libraries(ROOT / "functions" / name / "requirements.txt", machine), target, dirs_exist_ok=True)
    for source in own_sources(name):
        copy = target / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    if name == "sandbox":
        for_function(target)
    compile_all(target)
    if name in WITHOUT_SOURCES:
        _leave_bytecode(target)


def _leave_bytecode(target: Path) -> None:
    """Put the libraries' bytecode in the place of their sources, where Python imports it as well."""
    ours = {target / package for package in ("functions", "stepfunctions", "shared")}
    kept = ours | {target / package for package in _LISTS_SOURCES}
    for compiled in list(target.rglob("__pycache__/*.pyc")):
        folder, name = compiled.parent.parent, compiled.name.partition(".")[0]
        if kept.isdisjoint([folder, *folder.parents]):
            compiled.rename(folder / f"{name}.pyc")
            (folder / f"{name}.py").unlink()


def own_sources(name: str) -> Iterator[Path]:
    """The project's own files for one function: its folder and the two floors below."""
    yield ROOT / "functions" / "__init__.py"
    for package in (ROOT / "functions" / name, ROOT / "stepfunctions", ROOT / "shared"):
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "requirements.txt":
                yield path


def _libraries(requirements: Path, machine: str) -> Path:
    """A folder with the libraries, made once for each set of requirements, pins and kind of machine."""
    constraints = ROOT / "constraints.txt"
    recipe = requirements.read_bytes() + constraints.read_bytes() + Path(__file__).read_bytes() + machine.encode()
    folder = ROOT / ".local" / "package" / hashlib.sha256(recipe).hexdigest()[:16]
    if folder.exists():
        return folder
    scratch = folder.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(scratch), "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    command += [word for platform in _PLATFORMS for word in ("--platform", f"{platform}_{machine}")]
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
    _trim_apprise(folder / "apprise")
    _trim_unread(folder)
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def _trim_unread(folder: Path) -> None:
    """Remove what only developers of the libraries read: their tests, types, headers, and a compiler of Fortran."""
    for tests in [*folder.rglob("tests"), folder / "numpy" / "f2py"]:
        shutil.rmtree(tests, ignore_errors=True)
    for pattern in ("*.pyi", "*.h", "*.pxd", "*.a"):
        for unread in folder.rglob(pattern):
            unread.unlink()


def _trim_apprise(folder: Path) -> None:
    """Remove nine tenths of it: services that the node `notification` does not know, pictures, translations."""
    from shared.nodes.outputs._services import SERVICES

    kept = {"__init__.py", "base.py", *(f"{service.module}.py" for service in SERVICES.values())}
    plugins = folder / "plugins"
    for entry in list(plugins.iterdir()) if plugins.exists() else ():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in kept:
            entry.unlink()
    for unused in ("assets", "i18n"):
        shutil.rmtree(folder / unused, ignore_errors=True)
