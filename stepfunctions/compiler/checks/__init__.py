"""One rule a file. A check takes the graph, yields diagnostics and never raises, however wrong the document is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from stepfunctions.compiler.checks.configs import configs
from stepfunctions.compiler.checks.cycles import cycles
from stepfunctions.compiler.checks.duplicate_ids import duplicate_ids
from stepfunctions.compiler.checks.known_types import known_types
from stepfunctions.compiler.checks.ports import ports
from stepfunctions.compiler.checks.reachability import reachability
from stepfunctions.compiler.checks.readable_names import readable_names
from stepfunctions.compiler.checks.repeatable import repeatable
from stepfunctions.compiler.checks.required_inputs import required_inputs
from stepfunctions.compiler.checks.retries import retries
from stepfunctions.compiler.checks.timeouts import timeouts
from stepfunctions.compiler.checks.too_many_triggers import too_many_triggers
from stepfunctions.compiler.checks.typed_secrets import typed_secrets
from stepfunctions.compiler.checks.unanswered import unanswered
from stepfunctions.compiler.checks.walls import walls
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph

CHECKS: Final[tuple[Callable[[Graph], Iterator[Diagnostic]], ...]] = (
    duplicate_ids,
    known_types,
    configs,
    ports,
    walls,
    required_inputs,
    timeouts,
    retries,
    readable_names,
    repeatable,
    typed_secrets,
    too_many_triggers,
    unanswered,
    cycles,
    reachability,
)
