"""What the API does with templates of guided workflows, their steps, and who may use them.

Editors manage templates. To *use* one, a user needs a permission for one of their user types; admins may use all. An
API key has no user types, so it uses templates only as an admin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from shared.clock import now_ms
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from shared.guided.check import copied, definition_problems, template_problems
from shared.guided.documents import Step, StepDefinition, Template
from shared.guided.model import Permission
from shared.guided.store import InstanceStore, PermissionStore
from shared.members.store import MemberStore
from shared.resources import service as resources
from shared.resources.model import Kind, Resource, ResourceSummary
from shared.resources.store import ResourceStore
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import ROLES, Principal, Role
from shared.tools.builtin import BUILTINS
from shared.workflows.store import WorkflowStore

TEMPLATES: Final[Kind] = "workflow_templates"
STEPS: Final[Kind] = "workflow_steps"
ALWAYS: Final = ("0000-01-01", "9999-12-31")  # days between which everything was counted

# --- templates -----------------------------------------------------------------------------------------------------


def create_template(who: Principal, template: Template) -> Resource:
    """A new template. Raises Conflict (the name is taken), Invalid, TooLarge."""
    checked = _checked(who, template)
    try:
        ResourceStore(TenantTable(who.tenant)).get(TEMPLATES, template.name)
    except NotFound:
        # What is left of a template that was removed gives nobody a right to this one.
        PermissionStore(TenantTable(who.tenant)).revoke_all(template.name)
    return resources.create(who, TEMPLATES, checked)


def templates(
    who: Principal, category: str | None, is_active: bool | None, cursor: str | None, limit: int
) -> Listing[ResourceSummary]:
    """The templates that the caller may see, by name: all for editors, else the active ones that they may use."""
    usable = None if has_role(who, "editor") else usable_by(who)

    def keep(found: ResourceSummary) -> bool:
        known = found.shown
        if usable is not None and not (found.name in usable and known["is_active"]):
            return False
        return category in (None, known["category"]) and is_active in (None, known["is_active"])

    return ResourceStore(TenantTable(who.tenant)).page(TEMPLATES, cursor, limit, keep)


def template(who: Principal, name: str) -> Resource:
    """A template that the caller may see. Raises NotFound."""
    found = resources.read(who, TEMPLATES, name)
    if not has_role(who, "editor") and not (found.document["is_active"] and may_use(who, name)):
        raise NotFound(f"there is no workflow template {name}")
    return found


def put_template(who: Principal, name: str, changed: Template, known: int | None) -> Resource:
    """Replace a template: a new version; instances go on with theirs. Raises NotFound, Invalid, PreconditionFailed."""
    resources.read(who, TEMPLATES, name)
    return resources.put(who, TEMPLATES, name, _checked(who, changed), known)


def remove_template(who: Principal, name: str, known: int | None) -> None:
    """Remove a template with its versions and permissions.

    Raises NotFound, PreconditionFailed; Conflict (`template_in_use`) while instances of it are active.
    """
    resources.read(who, TEMPLATES, name)
    active = InstanceStore(TenantTable(who.tenant)).counts(name, *ALWAYS)["active"]
    if active > 0:
        message = f"{active} instances of it are active; set is_active to false and wait, or cancel them"
        raise Conflict(message, code="template_in_use")
    resources.remove(who, TEMPLATES, name, known)
    PermissionStore(TenantTable(who.tenant)).revoke_all(name)


def only_editors(who: Principal) -> None:
    """Raises Forbidden for those who may not see what became of everybody's conversations."""
    if not has_role(who, "editor"):
        raise Forbidden(f"this needs the role editor; you have {who.role}", code="role")


def counts(who: Principal, name: str, first: str | None, last: str | None) -> Counter[str]:
    """What was counted of a template between two days (`2026-01-31`), both included. Raises NotFound, Forbidden."""
    template(who, name)
    only_editors(who)
    return InstanceStore(TenantTable(who.tenant)).counts(name, first or ALWAYS[0], last or ALWAYS[1])


def _checked(who: Principal, template: Template) -> Template:
    """A template with its steps copied from their definitions. Raises Invalid with all its problems."""
    problems: list[Problem] = []
    steps, fields = [], dict(template.state_schema.get("properties") or {})
    for at, step in enumerate(template.steps):
        steps.append(_step(who, step, at, fields, problems))
    schema = template.state_schema
    if fields and isinstance(schema.get("properties", {}), dict):
        schema = {**schema, "properties": fields}
    whole = template.model_copy(update={"steps": steps, "state_schema": schema})
    problems += template_problems(whole)
    problems += _target_problems(who, whole)
    if problems:
        raise Invalid("; ".join(p.message for p in problems)[:1_000], code="invalid_template", errors=problems)
    return whole


def _step(who: Principal, step: Step, at: int, fields: dict[str, object], problems: list[Problem]) -> Step:
    if step.uses is None:
        return step
    store = ResourceStore(TenantTable(who.tenant))
    try:
        found = store.get(STEPS, step.uses.step)
        number = step.uses.version or found.version
        document = store.version(found, number).document
    except NotFound as missing:
        problems.append(Problem("unknown_step", missing.detail, f"steps.{at}.uses"))
        return step
    definition = StepDefinition.model_validate(document)
    for name, schema in definition.fields.items():
        fields.setdefault(name, schema)
    return copied(step, definition, number)


def _target_problems(who: Principal, template: Template) -> Iterator[Problem]:
    """Whether what the end action is to call is there."""
    target, table = template.end_action_target, TenantTable(who.tenant)
    if target is None:
        return
    if template.end_action_type == "workflow":
        try:
            found = WorkflowStore(table).get(target[:200])
        except NotFound:
            yield Problem("unknown_target", f"there is no workflow {target[:100]}", "end_action_target")
            return
        if found.published is None:
            yield Problem("unknown_target", "the workflow is not published", "end_action_target")
        elif found.published["triggers"] and "manual_trigger" not in {t for _, t in found.published["triggers"]}:
            yield Problem("bad_target", "the workflow needs a manual trigger", "end_action_target")
    if template.end_action_type == "tool_call" and target not in BUILTINS:
        try:
            ResourceStore(table).get("tools", target[:200])
        except NotFound:
            yield Problem("unknown_target", f"there is no tool {target[:100]}", "end_action_target")


# --- steps that templates share ------------------------------------------------------------------------------------


def create_step(who: Principal, definition: StepDefinition) -> Resource:
    """A new step definition. Raises Conflict (the name is taken), Invalid, TooLarge."""
    return resources.create(who, STEPS, _sound(definition))


def put_step(who: Principal, name: str, definition: StepDefinition, known: int | None) -> Resource:
    """Replace a step definition: a new version; templates keep what they have copied. Raises as `put_template`."""
    resources.read(who, STEPS, name)
    return resources.put(who, STEPS, name, _sound(definition), known)


def _sound(definition: StepDefinition) -> StepDefinition:
    problems = list(definition_problems(definition))
    if problems:
        raise Invalid(problems[0].message, code="invalid_step", errors=problems)
    return definition


# --- permissions ---------------------------------------------------------------------------------------------------


def has_role(who: Principal, role: Role) -> bool:
    """Whether the caller has at least this role."""
    return ROLES.index(who.role) >= ROLES.index(role)


def may_use(who: Principal, name: str) -> bool:
    """Whether the caller may use a template: as an admin, or by a permission of a user type that is there."""
    if has_role(who, "admin"):
        return True
    permissions = PermissionStore(TenantTable(who.tenant))
    return any(permissions.find(t, name) is not None and _is_there(who, t) for t in who.user_types)


def usable_by(who: Principal) -> frozenset[str] | None:
    """The names of the templates that the caller may use; None: all."""
    if has_role(who, "admin"):
        return None
    permissions = PermissionStore(TenantTable(who.tenant))
    types = [t for t in who.user_types if _is_there(who, t)]
    return frozenset(p.template for t in types for p in permissions.of_user_type(t))


def _is_there(who: Principal, user_type_id: str) -> bool:
    """Users keep the ids of user types that were removed; those mean nothing."""
    try:
        MemberStore(TenantTable(who.tenant)).user_type(user_type_id)
    except NotFound:
        return False
    return True


def grant(who: Principal, user_type_id: str, name: str) -> Permission:
    """Let a user type use a template. Raises Invalid (no such type or template), Conflict (it may already)."""
    problems = []
    if not _is_there(who, user_type_id):
        problems.append(Problem("unknown_user_type", "no such user type", "user_type_id"))
    try:
        resources.read(who, TEMPLATES, name)
    except NotFound:
        problems.append(Problem("unknown_template", "no such template", "template"))
    if problems:
        raise Invalid("; ".join(p.message for p in problems), errors=problems)
    made = Permission(user_type_id, name, now_ms(), who.id)
    PermissionStore(TenantTable(who.tenant)).grant(made)
    return made


def permissions(
    who: Principal, user_type_id: str | None, name: str | None, cursor: str | None, limit: int
) -> Listing[Permission]:
    """Permissions, by user type."""
    return PermissionStore(TenantTable(who.tenant)).page(
        f"{user_type_id} {name}",
        cursor,
        limit,
        lambda p: user_type_id in (None, p.user_type_id) and name in (None, p.template),
    )


def permission(who: Principal, permission_id: str) -> Permission:
    """A permission. Raises NotFound."""
    user_type_id, _, name = permission_id.partition(":")
    found = PermissionStore(TenantTable(who.tenant)).find(user_type_id, name)
    if found is None:
        raise NotFound("there is no such permission")
    return found


def revoke(who: Principal, permission_id: str) -> None:
    """Take a permission back; conversations by it cannot be gone on with. Raises NotFound."""
    PermissionStore(TenantTable(who.tenant)).revoke(permission(who, permission_id))


def templates_of(who: Principal, user_type_id: str, cursor: str | None, limit: int) -> Listing[ResourceSummary]:
    """The templates that a user type may use; who is no editor sees of them what they may use. Raises NotFound."""
    table = TenantTable(who.tenant)
    MemberStore(table).user_type(user_type_id)
    names = {p.template for p in PermissionStore(table).of_user_type(user_type_id)}
    usable = names if has_role(who, "editor") else names & (usable_by(who) or frozenset())

    def keep(found: ResourceSummary) -> bool:
        return found.name in usable and (found.shown["is_active"] or has_role(who, "editor"))

    return ResourceStore(table).page(TEMPLATES, cursor, limit, keep)
