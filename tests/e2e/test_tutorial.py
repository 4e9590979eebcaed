"""The tutorial works as it is written: its Python is run, in order, as one session."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from tests.client.built import statewright

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def test_the_tutorial(local: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statewright()
    (tmp_path / ".local").symlink_to(local.state)  # as in a clone: what `make dev` wrote is read
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    for number, block in enumerate(blocks):
        exec(compile(block, f"tutorial, block {number + 1}", "exec"), session)
    session["sw"].close()
