"""The scopes that routes ask for: a key can have each of them, and docs/api.md says which role they need."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import TypeAdapter

from functions.api import routes
from functions.api.schemas.api_keys import Scope
from shared.tenancy import ROLES

DOCS = Path(__file__).resolve().parents[3] / "docs" / "api.md"
ASKED = re.compile(r'require\("(\w+)", "(.+?):(\w+)"\)')
# Starting a schedule's run, links to tasks, and invitations: the table's rows say so in words.
ALSO = {("operator", "schedules", "write"), ("editor", "tasks", "write"), ("admin", "users", "read")}
ALSO |= {("editor", noun, "read") for noun in ("workflow_instances", "workflow_templates")}  # their analytics


def asked() -> set[tuple[str, str, str]]:
    """Role, noun and `read` or `write` of every route there is."""
    files = [p for folder in routes.__path__ for p in Path(folder).rglob("*.py")]
    return {found for p in files for found in ASKED.findall(p.read_text())}


def test_a_key_can_have_every_scope():
    scope = TypeAdapter(Scope)
    assert len(asked()) > 20
    for _, noun, what in asked():
        assert scope.validate_python(f"{noun}:{what}")


def test_the_documentation_has_every_scope_and_its_role():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", DOCS.read_text(), re.MULTILINE)
    said = {(role, noun, what) for noun, *roles in rows for role, what in zip(roles, ("read", "write"), strict=True)}
    assert {row for row in said if row[0] in ROLES} == asked() - ALSO
