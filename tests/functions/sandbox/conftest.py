from __future__ import annotations

from collections.abc import Iterator

import pytest

from infrastructure.package import interpreter
from tests.functions.sandbox.runtime import SECRET, Runtime, started


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The function's process. When it ends it has left no files, and its log says nothing of what was sent."""
    interpreter.installed()
    files, log = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("log") / "log"
    with started(files, log) as runtime:
        yield runtime
    assert list(files.iterdir()) == []
    assert SECRET not in log.read_text()
