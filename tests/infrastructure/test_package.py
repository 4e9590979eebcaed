"""The archives: bytecode of Python 3.13, and every library that a function's code can come to import."""

import ast
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infrastructure.package import build, bytecode
from infrastructure.package.__main__ import measure, table
from shared.nodes.base import Effect, NodeType
from shared.nodes.registry import get, names

ROOT = Path(__file__).resolve().parents[2]
OURS = ("functions", "shared", "stepfunctions")
FOLDERS = sorted(p.parent.name for p in (ROOT / "functions").glob("*/handler.py"))
API = ROOT / "functions" / "api"
NODES = ROOT / "shared" / "nodes"
# Which types a function runs; the others it only reads. A question's state computes the pure nodes that it needs.
RUNS: dict[str, Callable[[NodeType], bool]] = {
    "runner": lambda node_type: getattr(node_type, "runner", "runner") == "runner",
    "documents": lambda _: True,
    "tasks": lambda node_type: not isinstance(node_type, Effect),
}
# What nodes see of the outside is opened when a node that runs asks for it: no pure node does.
OUTSIDE = ROOT / "stepfunctions" / "outside.py"
HEAVY_THINGS = ("shared.collections", "shared.graphs")  # asked for by types that only `documents` runs
MAGIC_3_13 = (3571).to_bytes(2, "little") + b"\r\n"
TARGET = {"python_version": "3.13", "python_full_version": "3.13.0", "platform_machine": "aarch64", "extra": ""}


def modules(name: str) -> Iterator[Path]:
    """The file of one of our modules, or of a package and all that is found by listing it."""
    path = ROOT.joinpath(*name.split("."))
    if path.with_suffix(".py").exists():
        yield path.with_suffix(".py")
    elif (path / "__init__.py").exists():
        yield path / "__init__.py"


def imports(path: Path, runs_nodes: bool = True) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    # A node's libraries are loaded when it runs, by imports inside of its functions.
    for node in ast.walk(tree) if runs_nodes or NODES not in path.parents else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(handler: Path) -> tuple[set[Path], set[str]]:
    """Our files that a handler's imports lead to, at any depth, and the foreign top-level modules they name."""
    seen: set[Path] = set()
    foreign: set[str] = set()
    todo = [handler]
    function = handler.parent.name
    runs = RUNS.get(function)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        runs_it = runs is not None and (path.stem not in names() or runs(get(path.stem)))
        if path == OUTSIDE and function == "tasks":
            continue
        for name in imports(path, runs_it):
            if path == OUTSIDE and function != "documents" and name.startswith(HEAVY_THINGS):
                continue
            if name.split(".")[0] in OURS:
                todo += modules(name)
            else:
                foreign.add(name.split(".")[0])
        # These import what they find in a folder.
        if path == NODES / "registry.py":
            todo += NODES.glob("*/[!_]*.py")
        if path == API / "app.py":
            todo += (API / "routes").rglob("*.py")
        if path == ROOT / "shared" / "credentials" / "checks" / "__init__.py":
            todo += path.parent.glob("*.py")
    return seen, foreign - set(sys.stdlib_module_names) - {"__future__"}


def needed(requirement: Requirement) -> Iterator[str]:
    """A distribution and all that it needs where the functions run."""
    todo, seen = [(requirement, "")], set()
    while todo:
        wanted, extra = todo.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({**TARGET, "extra": extra}):
            continue
        name = wanted.name.lower().replace("_", "-").replace(".", "-")
        for own_extra in {"", *wanted.extras}:
            if (name, own_extra) not in seen:
                seen.add((name, own_extra))
                todo += [(Requirement(r), own_extra) for r in metadata.requires(name) or []]
    yield from {name for name, _ in seen}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_functions_requirements_cover_what_it_can_import(name: str) -> None:
    listed = (ROOT / "functions" / name / "requirements.txt").read_text().split()
    packed = {p for line in listed for p in needed(Requirement(line))}
    homes = metadata.packages_distributions()
    _, foreign = reached(ROOT / "functions" / name / "handler.py")
    missing = {m for m in foreign if not {h.lower().replace("_", "-") for h in homes.get(m, [m])} & packed}
    assert not missing


@pytest.mark.parametrize("name", FOLDERS)
def test_the_archive_has_every_module_that_a_function_can_import(name: str) -> None:
    seen, _ = reached(ROOT / "functions" / name / "handler.py")
    assert seen - set(build.own_sources(name)) == set()


def test_every_service_that_is_called_is_in_the_archive() -> None:
    called = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                    function = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                    if function in ("client", "tenant_client", "create_client"):
                        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                        called |= {t for t in texts if isinstance(t, str)}
    assert called
    assert called <= build.SERVICES


def test_logical_ids_lead_to_folders() -> None:
    assert build.folder_of("RunEventsFunction") == "run_events"
    with pytest.raises(LookupError, match="NobodyFunction"):
        build.folder_of("NobodyFunction")


def module(folder: Path, text: str) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "module.py").write_text(text)


def check_bytecode(folder: Path) -> None:
    [compiled] = (folder / "package" / "__pycache__").iterdir()
    assert compiled.name == "module.cpython-313.pyc"
    head = compiled.read_bytes()[:16]
    assert head[:4] == MAGIC_3_13
    assert head[4:8] == (1).to_bytes(4, "little"), "by hash, and not checked"


def test_bytecode_is_that_of_python_3_13(tmp_path: Path) -> None:
    module(tmp_path, "x = 1\n")
    bytecode.compile_all(tmp_path)
    check_bytecode(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm")
def test_bytecode_without_any_python_3_13(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "find_python", lambda: None)
    module(tmp_path, "x = 1\n")
    bytecode.compile_all(tmp_path)
    check_bytecode(tmp_path)
    (tmp_path / "package" / "module.py").write_text("x = = 1\n")
    with pytest.raises(bytecode.BytecodeError, match=r"module\.py"):
        bytecode.compile_all(tmp_path)


def test_with_nothing_to_compile_with_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "find_python", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bytecode.BytecodeError, match=r"install python3\.13, or Node\.js"):
        bytecode.compile_all(tmp_path)


def test_the_table_fails_for_an_archive_that_is_too_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "x = 1\n")
    assert table(tmp_path) == 0
    monkeypatch.setattr("infrastructure.package.__main__._ZIPPED", 10)
    assert table(tmp_path) == 1
    assert "TOO LARGE" in capsys.readouterr().out
    assert table(tmp_path / "none") == 1


@pytest.mark.slow
@pytest.mark.parametrize("logical_id", ["StreamFunction", "RunnerFunction", "DocumentsFunction"])
def test_a_whole_archive(logical_id: str, tmp_path: Path) -> None:
    build.build(logical_id, tmp_path)
    name = build.folder_of(logical_id)
    assert (tmp_path / "functions" / name / "handler.py").is_file()
    sources = [p for p in tmp_path.rglob("*.py") if p.parts[-2] != "__pycache__"]
    without = [
        p
        for p in sources
        if not Path(importlib.util.cache_from_source(str(p))).with_name(f"{p.stem}.cpython-313.pyc").exists()
    ]
    assert not without
    zipped, plain = measure(tmp_path)
    assert plain < 250_000_000
    assert zipped < 50_000_000 or name == "documents"
    # Where a library's source is left out, its bytecode is in its place.
    left_out = name in build.WITHOUT_SOURCES
    assert (tmp_path / "botocore" / "client.py").exists() is not left_out
    assert (tmp_path / "botocore" / "client.pyc").exists() is left_out
    present = {
        d.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        for d in metadata.distributions(path=[str(tmp_path)])
    }
    wanted = (ROOT / "functions" / name / "requirements.txt").read_text().split()
    assert {p for line in wanted for p in needed(Requirement(line))} <= present
