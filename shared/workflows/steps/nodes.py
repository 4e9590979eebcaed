"""Steps as nodes: their fields go where their words say, and what they refer to becomes templates and expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shared.errors import Invalid, Problem
from shared.nodes.registry import find
from shared.workflows.model import Node
from shared.workflows.steps.model import FORMS, HANGING, MCP_TOOL, OWN, RAW, SUGAR, WHILE, Form, WrittenStep
from shared.workflows.steps.ports import is_container, main_port
from shared.workflows.steps.references import BadReference, expression_of, marked, template_of, to_values

Json = dict[str, Any]
_NODE_FIELDS: Final = tuple(n for n in Node.model_fields if n not in ("id", "type", "config", "inputs", "parent"))
_ATTRIBUTES: Final = {"while": "while_", "else": "else_"}
_MANY: Final = 50  # problems in one answer


def own_thread(step_id: str) -> str:
    """The thread of an agent's step that names none: one for each run."""
    return f"{{{{ execution.id & '-{step_id}' }}}}"


class Nodes:
    """The nodes that steps stand for, in their order: `add_step` puts them into `made`. Problems are collected."""

    def __init__(self, steps: Iterable[WrittenStep], *, joined: bool) -> None:
        """`joined`: the steps say how they are connected, so that each is known by its id and inside its container."""
        self.made: dict[str, Json] = {}
        self.listed: list[Json] = []
        self._problems: list[Problem] = []
        self._ids: dict[int, str] = {}
        self._steps: dict[str, WrittenStep] = {}
        self._drafts: dict[int, Json] = {}
        listed = list(_each(steps, None))
        taken = {s.id for s, _ in listed if s.id is not None}
        for step, parent in listed:
            step_id = step.id or self._free(step.type, taken)
            taken.add(step_id)
            if joined and step.parent is not None:
                self.problem(step, "parent", "it stands among the steps of what it is in")
            if joined and step_id in self._steps:
                self.problem(step, "id", f"there are two steps {step_id}", code="duplicate_id")
            self._ids[id(step)] = step_id
            self._steps[step_id] = step
            within = self._ids[id(parent)] if parent else step.parent
            self._drafts[id(step)] = self._draft(step, step_id, within)
        self._ports = main_ports(self._drafts.values())
        self.ids = frozenset(taken)

    def id_of(self, step: WrittenStep) -> str:
        """A step's id, its own or the one that it was given."""
        return self._ids[id(step)]

    def step(self, step_id: str) -> WrittenStep:
        """The step of that id."""
        return self._steps[step_id]

    def free(self, wanted: str) -> str:
        """An id that no step has."""
        return wanted if wanted not in self.ids else self._free(wanted, set(self.ids))

    @staticmethod
    def _free(wanted: str, taken: set[str | None] | set[str]) -> str:
        base = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in wanted)[:80]
        base = base if base[:1].isalpha() else f"step_{base}"
        return next(name for n in range(1, len(taken) + 2) if (name := f"{base}_{n}") not in taken)

    def problem(self, step: WrittenStep | None, where: str, message: str, *, code: str = "invalid_step") -> None:
        """Note what is wrong; all problems are raised together."""
        step_id = self._ids.get(id(step), step.id) if step is not None else None
        path = f"steps.{step_id}.{where}" if step is not None else where
        self._problems.append(Problem(code, f"{step_id}: {message}" if step_id else message, path[:200], step_id))

    def raise_problems(self) -> None:
        """Raises Invalid if there are any."""
        if self._problems:
            raise Invalid("the steps have problems", errors=self._problems[:_MANY])

    def nested(self, step: WrittenStep) -> bool:
        """Whether steps hang on this one, or it says what is next."""
        return any(getattr(step, _ATTRIBUTES.get(name, name)) is not None for name in HANGING)

    def add(self, node: Json) -> None:
        """Put in a node of our own."""
        self.made[node["id"]] = Node.model_validate(node).model_dump(mode="json")
        self.listed.append(self.made[node["id"]])

    def add_step(self, step: WrittenStep) -> None:
        """Put in the step's node."""
        draft = self._drafts[id(step)]
        node_type = find(draft["type"])
        schema = node_type.schema_for(draft["config"]) if node_type else {}
        change = lambda path, text: self._changed(step, path, text, template_of)  # noqa: E731
        config = marked(
            draft["config"],
            schema,
            "config",
            lambda path, value: to_values(value, path, change),
            lambda path, value: self._expression(step, path, value),
        )
        node = {**draft, "config": config, "inputs": to_values(draft["inputs"], "inputs", change)}
        self.made[draft["id"]] = node
        self.listed.append(node)

    def _expression(self, step: WrittenStep, path: str, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {RAW}:
            return value[RAW]
        return self._changed(step, path, value, expression_of) if isinstance(value, str) else value

    def _changed(self, step: WrittenStep, path: str, text: str, way: Any) -> str:
        try:
            return str(way(text, self._ports))
        except BadReference as error:
            self.problem(step, self._said(step, path), str(error), code="bad_reference")
            return text

    def _said(self, step: WrittenStep, path: str) -> str:
        """The field in which the step says what goes to this path of its node."""
        form = form_of(step)
        for name, where in form.fields.items() if form else ():
            if path == ".".join(where) or path.startswith(f"{'.'.join(where)}."):
                return name + path.removeprefix(".".join(where))
        return path

    def _draft(self, step: WrittenStep, step_id: str, parent: str | None) -> Json:
        """The node with its texts as they were written."""
        form = form_of(step)
        given = set(step.model_fields_set)
        config, inputs = dict(step.config), dict(step.inputs)
        for name in SUGAR:
            if _ATTRIBUTES.get(name, name) not in given:
                continue
            value = getattr(step, _ATTRIBUTES.get(name, name))
            if name == "tool" and form is MCP_TOOL:
                config["server"], _, config["tool"] = str(value).partition(":")
            elif form is None or name not in form.fields:
                self.problem(step, name, f"a {step.type} step has no field {name}", code="unknown_field")
            elif name == "thread_id" and value is None:
                continue
            else:
                place, key = form.fields[name]
                goes_to = config if place == "config" else inputs
                if key in goes_to:
                    self.problem(step, name, f"it is given twice, here and in {place}.{key}")
                goes_to[key] = value
        node_type = form.node if form else step.type.removeprefix(OWN)
        if step.type == "agent" and parent is None and "thread_id" not in given and "thread_id" not in inputs:
            inputs["thread_id"] = {RAW: own_thread(step_id)}
        if step.type == "prompt" and "prompt" in config and "messages" not in inputs:
            inputs["messages"] = []  # what is said before the prompt
        self._check_hanging(step, node_type, given)
        fields = step.model_dump(mode="json", include=set(_NODE_FIELDS))
        draft = {"id": step_id, "type": node_type, "config": config, "inputs": inputs, "parent": parent, **fields}
        return {name: draft[name] for name in Node.model_fields}

    def _check_hanging(self, step: WrittenStep, node_type: str, given: set[str]) -> None:
        takes = {
            "steps": is_container(node_type),
            "then": node_type == "condition",
            "else_": node_type == "condition",
        }
        for name, may in takes.items():
            if name in given and getattr(step, name) is not None and not may:
                said = name.removesuffix("_")
                self.problem(step, said, f"a {step.type} step has no {said}", code="unknown_field")
        if isinstance(step.branches, list) and step.type != "parallel":
            self.problem(step, "branches", "lists are for parallel; here it is an object of lists by output port")
        if isinstance(step.branches, dict) and (step.type == "parallel" or step.then or step.else_):
            self.problem(step, "branches", "an object of lists by output port does not go with this")


def main_ports(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """The port of each node that `output` reads."""
    return {n["id"]: main_port(n) for n in nodes}


def form_of(step: WrittenStep) -> Form | None:
    """What a step's words mean; None for a node type's own name."""
    if step.type == "loop" and "while_" in step.model_fields_set:
        return WHILE
    if step.type == "tool" and isinstance(step.tool, str) and ":" in step.tool and "{" not in step.tool:
        return MCP_TOOL
    if step.type == "parallel" and not isinstance(step.branches, list):
        return None  # the node type of that name, which only hands its input on
    return FORMS.get(step.type)


def _each(steps: Iterable[WrittenStep], parent: WrittenStep | None) -> Iterator[tuple[WrittenStep, WrittenStep | None]]:
    """Every step with the container that it is in, in the order of the document's nodes."""
    for step in steps:
        yield step, parent
        yield from _each(step.steps or (), step)
        lists: list[Any] = []
        if isinstance(step.branches, list):
            lists = list(step.branches)
        elif isinstance(step.branches, dict):
            lists = list(step.branches.values())
        lists += [arm for arm in (step.then, step.else_) if isinstance(arm, list)]
        for each in lists:
            yield from _each(each, parent)
