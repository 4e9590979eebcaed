from __future__ import annotations

from pathlib import Path

from infrastructure.openapi import document


def test_the_committed_document_is_the_apis():
    """`make docs` writes it anew."""
    assert (Path(__file__).parents[2] / "docs" / "openapi.json").read_text() == document()
