"""What becomes of a state: our rules, which no model can argue with. Pure.

A model proposes; here it is decided. A value is taken if the person has said it, if it fits its schema, and if the
rules of its step hold. Which step comes next follows from the state alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from shared.expressions.jsonata import ExpressionFailed, evaluate_on_any_thread
from shared.expressions.truth import truth
from shared.guided.documents import Step, Template
from shared.guided.evidence import found, supports
from shared.guided.model import MAX_STATE, Refused, Said
from shared.ids import digest
from shared.nodes.json_schemas import faults

StepStatus = Literal["done", "current", "open", "skipped", "not_applicable"]

_QUOTE: Final = 300  # characters of a quote that are kept
_NOT_SAID: Final = "it is not in what was said; please say it in your own words"
_NOT_IN_QUOTE: Final = "please say it in so many words, and numbers in digits"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a state stands. `current` is the step at work, None when all are done; `missing` are its open fields.

    `problems` is what keeps the step, or in the end the whole state, from being done although nothing is missing.
    """

    steps: Mapping[str, StepStatus]
    current: str | None
    missing: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return self.current is None and not self.problems


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants a field to be, and the person's words that say so."""

    field: str
    value: Any
    evidence: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A state, the evidence for its fields and the optional steps that the person has passed over."""

    state: Mapping[str, Any]
    evidence: Mapping[str, Mapping[str, Any]]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of proposals: `filled` with what was `taken`."""

    filled: Filled
    taken: tuple[str, ...]
    refused: tuple[Refused, ...]


def standing(template: Template, filled: Filled, now: str) -> Standing:
    """Where a state stands, at `now` (RFC 3339)."""
    steps: dict[str, StepStatus] = {}
    current: Step | None = None
    for step in template.steps:
        if not applies(step, filled.state, now):
            steps[step.id] = "not_applicable"
        elif _done(step, filled, now):
            steps[step.id] = "done" if not _missing(step, filled.state) else "skipped"
        elif current is None:
            current, steps[step.id] = step, "current"
        else:
            steps[step.id] = "open"
    if current is not None:
        missing = _missing(current, filled.state)
        return Standing(steps, current.id, missing, () if missing else broken(current, filled.state, now))
    unfit = faults(final_state(template, filled.state, now), template.state_schema)
    return Standing(steps, None, (), tuple(unfit))


def applies(step: Step, state: Mapping[str, Any], now: str) -> bool:
    """Whether a step is to be taken. One whose condition cannot be evaluated is."""
    if step.when is None:
        return True
    try:
        return truth(evaluate_on_any_thread(step.when, {"state": dict(state), "now": now}))
    except ExpressionFailed:
        return True


def broken(step: Step, state: Mapping[str, Any], now: str) -> tuple[str, ...]:
    """The messages of a step's rules that do not hold. One that cannot be evaluated does not."""
    found_broken = []
    for rule in step.rules:
        try:
            holds = truth(evaluate_on_any_thread(rule.expression, {"state": dict(state), "now": now}))
        except ExpressionFailed:
            holds = False
        if not holds:
            found_broken.append(rule.message)
    return tuple(found_broken)


def _missing(step: Step, state: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f for f in step.fields if f not in state)


def _done(step: Step, filled: Filled, now: str) -> bool:
    if _missing(step, filled.state):
        return not step.required and step.id in filled.skipped
    return not broken(step, filled.state, now)


def final_state(template: Template, state: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What goes to the end action: without the fields of steps that do not apply."""
    every = {f for step in template.steps for f in step.fields}
    asked = {f for step in template.steps if applies(step, state, now) for f in step.fields}
    return {name: value for name, value in state.items() if name in asked or name not in every}


def mark_of(state: Mapping[str, Any]) -> str:
    """A digest that tells one state from another."""
    return digest("state", json.dumps(state, sort_keys=True, ensure_ascii=False))


def fields_of(template: Template) -> Mapping[str, Any]:
    """The fields of a state with their schemas."""
    fields: Mapping[str, Any] = template.state_schema.get("properties", {})
    return fields


def fault_of(template: Template, field: str, value: Any) -> str | None:
    """Why a value does not fit its field, or None."""
    whole = template.state_schema
    own = {name: whole[name] for name in ("properties", "$defs", "definitions", "$schema") if name in whole}
    unfit = faults({field: value}, {**own, "type": "object"})
    return "; ".join(f.removeprefix(f"$.{field}").removeprefix(": ") for f in unfit)[:500] if unfit else None


def take(template: Template, filled: Filled, proposals: Sequence[Proposal], said: Sequence[Said], now: str) -> Outcome:
    """What a model proposes. `said` are the messages in which the person may have said it."""
    fields, evidence, refused = fields_of(template), {}, []
    asked = {f for step in template.steps for f in step.fields}
    fitting: dict[str, Any] = {}
    for proposal in proposals:
        name = proposal.field
        if name in filled.state and same(filled.state[name], proposal.value):
            continue
        message = next((m for m in reversed(said) if m.role == "user" and found(proposal.evidence, m.content)), None)
        schema = fields.get(name)
        if name not in asked:
            reason: str | None = "there is no such field to fill in"
        elif message is None:
            reason = _NOT_SAID
        elif not supports(proposal.evidence, proposal.value, schema if isinstance(schema, Mapping) else {}):
            reason = _NOT_IN_QUOTE
        else:
            reason = fault_of(template, name, proposal.value)
        if reason is None and message is not None:
            fitting[name] = proposal.value
            evidence[name] = {"quote": proposal.evidence.strip()[:_QUOTE], "message": message.number}
        else:
            refused.append(Refused(name[:100], reason or _NOT_SAID))
    kept, against_rules = _within_rules(template, filled.state, fitting, now)
    return _outcome(filled, kept, evidence, [*refused, *against_rules])


def put(
    template: Template, filled: Filled, values: Mapping[str, Any], remove: Iterable[str], by: str, now: str
) -> Outcome:
    """What a person sets directly. `by` is who."""
    gone = set(remove)
    refused, fitting = [], {}
    for name, value in values.items():
        reason = fault_of(template, name, value) if name in fields_of(template) else "there is no such field"
        if reason is None:
            fitting[name] = value
        else:
            refused.append(Refused(name, reason))
    state = {n: v for n, v in filled.state.items() if n not in gone}
    evidence = {n: v for n, v in filled.evidence.items() if n not in gone}
    kept, against_rules = _within_rules(template, state, fitting, now)
    return _outcome(
        replace(filled, state=state, evidence=evidence),
        kept,
        {n: {"by": by} for n in kept},
        [
            *refused,
            *against_rules,
        ],
    )


def _outcome(
    filled: Filled, kept: Mapping[str, Any], evidence: Mapping[str, Mapping[str, Any]], refused: Sequence[Refused]
) -> Outcome:
    state = {**filled.state, **kept}
    if len(json.dumps(state, ensure_ascii=False).encode()) > MAX_STATE:
        more = [Refused(name, "all fields together are too long") for name in kept]
        return Outcome(filled, (), (*refused, *more))
    known = {**filled.evidence, **{name: evidence[name] for name in kept}}
    return Outcome(replace(filled, state=state, evidence=known), tuple(kept), tuple(refused))


def _within_rules(
    template: Template, state: Mapping[str, Any], fitting: Mapping[str, Any], now: str
) -> tuple[dict[str, Any], list[Refused]]:
    """The values that no step's rules forbid. Those of a step whose rules they break are left out together."""
    kept, refused = dict(fitting), []
    for _ in range(len(template.steps) + 1):
        wanted = {**state, **kept}
        for step in template.steps:
            new = [f for f in step.fields if f in kept]
            if not new or _missing(step, wanted) or not applies(step, wanted, now):
                continue
            messages = broken(step, wanted, now)
            if messages:
                refused += [Refused(name, "; ".join(messages)) for name in new]
                kept = {name: value for name, value in kept.items() if name not in new}
                break
        else:
            break
    return kept, refused


def pass_over(
    template: Template, filled: Filled, skips: Iterable[tuple[str, str]], latest: Said, now: str
) -> tuple[Filled, tuple[Refused, ...]]:
    """Steps that the person does not want to fill in: `(step, quote)`, the quote being of the latest message."""
    steps, skipped, refused = {s.id: s for s in template.steps}, list(filled.skipped), []
    for step_id, quote in skips:
        step = steps.get(step_id)
        if step is None or step.required or not applies(step, filled.state, now):
            refused.append(Refused(step_id[:100], "this step cannot be skipped"))
        elif not found(quote, latest.content):
            refused.append(Refused(step_id, _NOT_SAID))
        elif step_id not in skipped:
            skipped.append(step_id)
    return replace(filled, skipped=tuple(skipped)), tuple(refused)


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same JSON: 1 and true are not."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
