"""Makes MiniStack behave as AWS does where it does not and this project relies on it.

Bound to one version: it replaces functions by name, so a newer MiniStack must be looked at first (the tests in
tests/infrastructure/test_shim*.py say what has to hold). What it mends is listed in docs/local-aws.md.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from infrastructure.local import shim_lambda, shim_policies, shim_schedules, shim_states

VERSION: Final = "1.5.33"


def apply() -> None:
    """Patch the MiniStack modules of this process. Raises RuntimeError for another version of MiniStack."""
    found = version("ministack")
    if found != VERSION:
        raise RuntimeError(f"the shim is made for MiniStack {VERSION}, but {found} is installed; run `make setup`")
    shim_lambda.apply()
    shim_policies.apply()
    shim_schedules.apply()
    shim_states.apply()
