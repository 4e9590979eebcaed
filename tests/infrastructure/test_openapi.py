from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_document_is_the_apis(tmp_path):
    """`make docs` writes it anew. In a process of its own, as there: Python takes `Literal`s of the same words for the
    same type, so here the words might have the order in which somebody else has written them.
    """
    made = tmp_path / "openapi.json"
    subprocess.run([sys.executable, "-m", "infrastructure.openapi", str(made)], cwd=ROOT, check=True)
    assert made.read_text() == (ROOT / "docs" / "openapi.json").read_text()
