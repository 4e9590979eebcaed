"""The tutorial works as it is written: its Python is run, in order, as one session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infrastructure.local.stack import Stack
from tests.client.built import statewright
from tests.e2e.caller import Caller

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def test_the_tutorial(local: Stack, mine: Caller) -> None:
    statewright()
    session = {"API_URL": local.api_url, "API_KEY": mine.key}
    blocks = re.findall(r"^```python\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    for number, block in enumerate(blocks):
        exec(compile(block, f"tutorial, block {number + 1}", "exec"), session)
    session["sw"].close()
