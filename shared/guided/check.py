"""Whether a template can work: its steps, its schema and their expressions. Its target is for `service` to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from shared.errors import Problem
from shared.expressions.jsonata import syntax_problem
from shared.guided.documents import Rule, Step, StepDefinition, Template
from shared.nodes.json_schemas import schema_problems

_MAX_FIELDS = 200


def template_problems(template: Template) -> Iterator[Problem]:
    """What is wrong with a template whose steps have been copied from their definitions."""
    wrong_schema = list(_state_schema_problems(template.state_schema))
    yield from wrong_schema
    fields = template.state_schema.get("properties", {}) if not wrong_schema else None
    counted = Counter(step.id for step in template.steps)
    yield from (
        Problem("duplicate_step", f"{count} steps have the id {step_id}", f"steps.{_at(template, step_id)}.id")
        for step_id, count in counted.items()
        if count > 1
    )
    for at, step in enumerate(template.steps):
        if not step.name:
            yield Problem("missing_name", "a step has a name", f"steps.{at}.name")
        yield from _expression_problems(step.when, step.rules, f"steps.{at}")
        for i, field in enumerate(step.fields):
            if fields is not None and field not in fields:
                message = f"{field} is no property of state_schema"
                yield Problem("unknown_field", message, f"steps.{at}.fields.{i}")
        if step.required and not step.fields:
            yield Problem("missing_fields", "a required step asks for one field or more", f"steps.{at}.fields")
    if fields is not None:
        asked = {f for step in template.steps if step.required for f in step.fields}
        for name in template.state_schema.get("required", ()):
            if name not in asked:
                message = f"state_schema requires {name}, and no required step asks for it"
                yield Problem("field_in_no_step", message, "state_schema.required")
    yield from _action_problems(template)


def _at(template: Template, step_id: str) -> int:
    return max(i for i, step in enumerate(template.steps) if step.id == step_id)


def definition_problems(definition: StepDefinition) -> Iterator[Problem]:
    """What is wrong with a step definition."""
    for name, schema in definition.fields.items():
        yield from schema_problems(schema, f"fields.{name}")
    yield from _expression_problems(definition.when, definition.rules, "")


def _state_schema_problems(schema: Mapping[str, object]) -> Iterator[Problem]:
    invalid = list(schema_problems(dict(schema), "state_schema"))
    if invalid:
        yield from invalid
        return
    fields = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(fields, Mapping) or not fields:
        message = "a state is an object with properties: {type: object, properties: {…}}"
        yield Problem("invalid_schema", message, "state_schema")
        return
    if len(fields) > _MAX_FIELDS:
        yield Problem("too_many_fields", f"a state has at most {_MAX_FIELDS} fields", "state_schema.properties")
    required = schema.get("required", ())
    for name in required if isinstance(required, Sequence) else ():
        if name not in fields:
            yield Problem("unknown_field", f"{name} is required and no property", "state_schema.required")


def _expression_problems(when: str | None, rules: Sequence[Rule], path: str) -> Iterator[Problem]:
    beginning = f"{path}." if path else ""
    places = [(f"{beginning}when", when)] if when is not None else []
    places += [(f"{beginning}rules.{i}.expression", rule.expression) for i, rule in enumerate(rules)]
    for place, expression in places:
        problem = syntax_problem(expression)
        if problem is not None:
            yield Problem("bad_expression", f"{place}: {problem}", place)


def _action_problems(template: Template) -> Iterator[Problem]:
    kind, target = template.end_action_type, template.end_action_target
    if kind == "none" and target is not None:
        yield Problem("target_not_used", "with end_action_type none there is no target", "end_action_target")
    if kind != "none" and target is None:
        yield Problem("missing_target", f"the end action {kind} needs a target", "end_action_target")
    if kind == "api_call" and target is not None:
        host = target.partition("://")[2].partition("/")[0]
        if not target.startswith(("http://", "https://")) or not host or "@" in host or "{{" in target:
            message = "the target of api_call is an http or https address without user name and templates"
            yield Problem("bad_target", message, "end_action_target")
    if kind != "api_call" and template.end_action_credential is not None:
        yield Problem("target_not_used", "only api_call takes a credential", "end_action_credential")


def copied(step: Step, definition: StepDefinition, version: int) -> Step:
    """A step with what its definition says, where the step says nothing itself."""
    return step.model_copy(
        update={
            "name": step.name or definition.title or definition.name,
            "description": step.description or definition.description,
            "fields": step.fields or list(definition.fields),
            "when": step.when if step.when is not None else definition.when,
            "rules": step.rules or definition.rules,
            "required": step.required and definition.required,
            "uses": step.uses.model_copy(update={"version": version}) if step.uses else None,
        }
    )
