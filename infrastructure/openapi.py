"""`python -m infrastructure.openapi FILE` writes the API's OpenAPI document."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def document() -> str:
    """The document as text: the same text for the same API."""
    from functions.api.app import build

    return json.dumps(build().openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document())
