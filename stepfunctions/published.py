"""What is kept of a plan beside the workflow's version: enough to start a run without reading the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from shared.errors import Invalid, Problem
from shared.ids import digest

_OF_SERVICE: Final = ("canary", "beside")  # say how it is in service, not what it is


@dataclass(frozen=True, slots=True)
class Beside:
    """A canary: another version that gets `weight` of a hundred runs in place of the published one."""

    id: str
    weight: int
    published: Published


@dataclass(frozen=True, slots=True)
class Published:
    """`plan` and `machine` are hashes, `timeouts` the seconds of the questions by position.

    `triggers` are `(node id, type)` in document order, without those that are `disabled`; `express` is the machine with
    which runs begin, if that is another (see `stepfunctions.tier`). `canary` is that of which its runs are, `beside`
    the one beside it.
    """

    workflow_id: str
    version: int
    plan: str
    machine: str
    timeouts: tuple[int, ...]
    timeout_seconds: int
    triggers: tuple[tuple[str, str], ...]
    webhooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    express: str | None = None
    max_concurrency: int | None = None
    disabled: tuple[str, ...] = ()
    canary: str | None = None
    beside: Beside | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_SERVICE}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Published:
        """From its JSON."""
        return cls(
            **{
                **data,
                "timeouts": tuple(data["timeouts"]),
                "triggers": tuple((node, kind) for node, kind in data["triggers"]),
                "disabled": tuple(data.get("disabled", ())),
            }
        )

    def of_run(self, execution_id: str) -> Published:
        """The version for this run: the canary's for so many of a hundred ids, always the same for one id."""
        if self.beside is None or int(digest(self.beside.id, execution_id)[:8], 16) % 100 >= self.beside.weight:
            return self
        return replace(self.beside.published, canary=self.beside.id)


def in_service(published: Mapping[str, Any] | None, canary: Mapping[str, Any] | None) -> Published | None:
    """What starting a workflow takes whose published version, and canary, are kept so; None: none is published."""
    if published is None:
        return None
    found = Published.from_dict(published)
    if canary is None:
        return found
    return replace(found, beside=Beside(canary["id"], canary["weight"], Published.from_dict(canary["published"])))


def chosen(triggers: Sequence[tuple[str, str]], disabled: Sequence[str], wanted: str | None) -> str | None:
    """The trigger at which a run starts, of these `(node id, type)`: the one asked for, else the manual one, else the
    only one; None where there is none at all. Disabled ones do not count, and a workflow that has only those is not
    started. Raises Invalid.
    """
    ids = [node for node, _ in triggers]
    if wanted is not None and wanted in ids:
        return wanted
    if wanted is not None and wanted not in disabled:
        message = f"there is no trigger {wanted}"
        there = f"{message}; there is {', '.join(ids)}" if ids else "the workflow has no triggers"
        raise Invalid(there, errors=[Problem("unknown_trigger", message, "trigger_node", wanted)])
    if wanted is not None or (disabled and not ids):
        message = f"the trigger {wanted} is disabled" if wanted else f"every trigger is disabled: {', '.join(disabled)}"
        raise Invalid(message, errors=[Problem("disabled_trigger", message, "trigger_node", wanted)])
    manual = [node for node, kind in triggers if kind == "manual_trigger"]
    if manual or len(ids) < 2:
        return next(iter(manual or ids), None)
    message = f"name the trigger to start at: {', '.join(ids)}"
    raise Invalid(message, errors=[Problem("missing_trigger", message, "trigger_node")])
