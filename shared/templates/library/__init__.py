"""The templates that come with Statewright: a JSON file each, named after its id.

`{name, description, category, tags, version, parameters, document}`; `version` is raised with each change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from shared.templates.model import Template

FOLDER = Path(__file__).parent


@cache
def templates() -> Mapping[str, Template]:
    """The library, by id, in order of the ids."""
    return {path.stem: _template(path) for path in sorted(FOLDER.glob("*.json"))}


def _template(path: Path) -> Template:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return Template(**{**found, "id": path.stem, "source": "library", "tags": tuple(found["tags"])})
