"""What Step Functions would refuse or fail on, found before it is asked: run on every skeleton that is emitted.

Strict, and ours: of what AWS allows, only what the compiler may write passes. Limits and rules are those of the AWS
Step Functions developer guide ("Service quotas", "Transforming data", "Passing data with variables") and of the
Amazon States Language. One concern a file; a rule takes the scopes of a machine, yields messages and never raises.
Whatever is found is a bug of the compiler, or a workflow too large for one machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.verify.callbacks import callbacks
from stepfunctions.compiler.verify.errors import errors
from stepfunctions.compiler.verify.fields import fields
from stepfunctions.compiler.verify.flow import flow
from stepfunctions.compiler.verify.machine import Scope, scopes
from stepfunctions.compiler.verify.names import names
from stepfunctions.compiler.verify.places import places
from stepfunctions.compiler.verify.sizes import literals, too_large
from stepfunctions.compiler.verify.variables import variables

_RULES: Final[tuple[Callable[[Sequence[Scope]], Iterator[str]], ...]] = (
    fields,
    names,
    errors,
    callbacks,
    flow,
    places,
    variables,
    literals,
)


def verify(skeleton: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Everything wrong with a state machine. Never raises, whatever it is given."""
    try:
        text = json.dumps(skeleton, allow_nan=False)
        machine = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        yield Diagnostic("bad_skeleton", f"the state machine is not JSON: {error}")
        return
    yield from (Diagnostic("machine_too_large", message) for message in too_large(text))
    if not isinstance(machine, dict):
        yield Diagnostic("bad_skeleton", "the state machine must be an object")
        return
    read = scopes(machine)
    for rule in _RULES:
        yield from (Diagnostic("bad_skeleton", message) for message in rule(read))
