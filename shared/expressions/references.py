"""What a JSONata expression reads, found in its syntax tree without evaluating it.

Only the compiler needs this: it parses with jsonata-python, whose tree is open, and hands the names on in the plan.
What the engine that evaluates cannot parse is a problem here too, so that it is refused before anything runs.
A reference is a path of names from the scope's root: `("trigger",)`, `("variables", "limit")`, `("nodes", "a", "out")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from shared.expressions.jsonata import ExpressionFailed, evaluate, syntax_problem

_DEPTH: Final = {"nodes": 3, "variables": 2, "inputs": 2, "execution": 2, "secrets": 2}  # how far a path matters
_WHOLE_REFUSED: Final = {"nodes": "name a node: nodes.<id>.<port>", "secrets": "name a secret: secrets.<name>"}
_FUNCTIONS: Final = frozenset(
    {
        "abs",
        "append",
        "assert",
        "average",
        "base64decode",
        "base64encode",
        "boolean",
        "ceil",
        "contains",
        "count",
        "decodeUrl",
        "decodeUrlComponent",
        "distinct",
        "each",
        "encodeUrl",
        "encodeUrlComponent",
        "error",
        "exists",
        "filter",
        "floor",
        "formatBase",
        "formatInteger",
        "formatNumber",
        "fromMillis",
        "join",
        "keys",
        "length",
        "lookup",
        "lowercase",
        "map",
        "match",
        "max",
        "merge",
        "millis",
        "min",
        "not",
        "now",
        "number",
        "pad",
        "parseInteger",
        "power",
        "random",
        "reduce",
        "replace",
        "reverse",
        "round",
        "shuffle",
        "sift",
        "single",
        "sort",
        "split",
        "spread",
        "sqrt",
        "string",
        "substring",
        "substringAfter",
        "substringBefore",
        "sum",
        "toMillis",
        "trim",
        "type",
        "uppercase",
        "zip",
    }
)
_UNREPEATABLE: Final = frozenset({"millis", "now", "random", "shuffle"})  # a second evaluation gives something else
_OF_CONTEXT: Final = {"string": 1, "keys": 1, "spread": 1, "boolean": 1, "not": 1, "each": 2, "sift": 2, "lookup": 2}
_WHOLE: Final = "name what you read: the scope as a whole cannot be read"
_ABOVE: Final = "name what you read: % and @ reach back to what is above it"
_CHILDREN: Final = ("lhs", "rhs", "expression", "condition", "then", "_else", "procedure", "body")
_LISTS: Final = ("expressions", "arguments", "terms")


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an expression reads, or what is wrong with it. `unrepeatable`: the functions that it calls of those that
    give something else each time.
    """

    names: frozenset[tuple[str, ...]]
    problems: tuple[str, ...] = ()
    unrepeatable: frozenset[str] = frozenset()


@lru_cache(maxsize=4_096)
def analyse(expression: str) -> Analysis:
    """The references of an expression; `problems` when it does not parse or reaches for what is not there."""
    import jsonata  # heavy, and only the compiler comes here

    refused = syntax_problem(expression)
    try:
        tree = jsonata.Jsonata(f"{expression}\n").ast  # it fails on a comment that ends the text
    except jsonata.JException as error:
        refused = _brief(error)  # it says it in plainer words
    except Exception as error:  # the parser raises Python's errors too
        refused = refused or _brief(error)
    if refused is not None:
        return Analysis(frozenset(), (f"does not parse: {refused.removeprefix('Parse error: ')}",))
    walk = _Walk()
    try:
        walk.visit(tree, relative=False)
    except RecursionError:
        return Analysis(frozenset(), ("does not parse: it is nested too deeply",))
    unknown = sorted(walk.called - walk.bound - _FUNCTIONS)
    problems = [*walk.problems, *(f"${name} is not defined" for name in unknown)]
    unrepeatable = _UNREPEATABLE & (walk.called - walk.bound)
    return Analysis(frozenset(walk.names), tuple(dict.fromkeys(problems)), unrepeatable)


class _Walk:
    """Collects names. `relative` is true where names are looked up in some value and not in the scope's root."""

    def __init__(self) -> None:
        self.names: set[tuple[str, ...]] = set()
        self.problems: list[str] = []
        self.bound: set[str] = set()
        self.called: set[str] = set()

    def visit(self, symbol: Any, *, relative: bool) -> None:
        match symbol.type:
            case "path":
                self._path(symbol, relative)
            case "name":
                self._reference([symbol], relative)
            case "variable":
                self._variable(symbol, relative)
            case "wildcard" | "descendant" | "parent" if not relative:
                self.problems.append("name what you read: * and % do not reach the scope itself")
            case "bind":
                self.bound.add(symbol.lhs.value)
                self.visit(symbol.rhs, relative=relative)
            case "apply":
                self.visit(symbol.lhs, relative=relative)
                if symbol.rhs.type == "function":
                    self._function(symbol.rhs, relative, given=1)
                else:
                    self.visit(symbol.rhs, relative=relative)
            case "function":
                self._function(symbol, relative)
            case "lambda":
                self.bound.update(argument.value for argument in symbol.arguments)
                self.visit(symbol.body, relative=relative)
            case "transform":
                for part in (symbol.pattern, symbol.update, getattr(symbol, "delete", None)):
                    if part is not None:
                        self.visit(part, relative=True)
            case "regex":
                self._regex(symbol.value)
            case "sort":
                for term in symbol.terms:
                    self.visit(term.expression, relative=True)
            case _:
                self._children(symbol, relative)
        self._attached(symbol)

    def _children(self, symbol: Any, relative: bool) -> None:
        for child in _parts(symbol):
            self.visit(child, relative=relative)

    def _attached(self, symbol: Any) -> None:
        for stage in [*(getattr(symbol, "stages", None) or ()), *(getattr(symbol, "predicate", None) or ())]:
            if getattr(stage, "expr", None) is not None:
                self.visit(stage.expr, relative=True)
        for pair in symbol.group.lhs_object if getattr(symbol, "group", None) is not None else ():
            for part in pair:
                self.visit(part, relative=True)
        for attribute in ("focus", "index"):
            if isinstance(getattr(symbol, attribute, None), str):
                self.bound.add(getattr(symbol, attribute))

    def _path(self, symbol: Any, relative: bool) -> None:
        first, *rest = symbol.steps
        if first.type == "name" or (first.type == "variable" and first.value in ("", "$")):
            used = self._reference(symbol.steps, relative)
            for step in symbol.steps[:used]:
                self._attached(step)
            rest = symbol.steps[used:]
        else:
            self.visit(first, relative=relative)
            if not relative and _looks_back(first):
                self.problems.append(_ABOVE)
        for step in rest:
            if step.type == "name":
                self._attached(step)
            else:
                self.visit(step, relative=True)

    def _reference(self, steps: list[Any], relative: bool) -> int:
        """Record the reference that a path starts with; how many of its steps that took."""
        at = 0
        if steps[0].type == "variable":
            if steps[0].value == "" and relative:
                return 1
            at = 1
        elif relative:
            return 1
        if at >= len(steps) or steps[at].type != "name":
            self.problems.append(_WHOLE)
            return max(at, 1)
        root = str(steps[at].value)
        path = [root]
        for step in steps[at + 1 : at + _DEPTH.get(root, 1)]:
            if step.type not in ("name", "string") or getattr(steps[at + len(path) - 1], "stages", None):
                break
            path.append(str(step.value))
        if any(_looks_back(step) for step in steps[: at + len(path)]):
            self.problems.append(_ABOVE)
        if len(path) == 1 and root in _WHOLE_REFUSED:
            self.problems.append(_WHOLE_REFUSED[root])
        else:
            self.names.add(tuple(path))
        return at + len(path)

    def _function(self, symbol: Any, relative: bool, given: int = 0) -> None:
        """A call. Without its first argument a built-in takes the context, which at the root is the whole scope."""
        name = str(symbol.procedure.value) if symbol.procedure.type == "variable" else ""
        if not relative and len(symbol.arguments) + given < _OF_CONTEXT.get(name, 0):
            self.problems.append(f"${name} without its argument reads the scope as a whole: say what it is to read")
        self._children(symbol, relative)

    def _regex(self, pattern: re.Pattern[str]) -> None:
        flags = ("i" if pattern.flags & re.IGNORECASE else "") + ("m" if pattern.flags & re.MULTILINE else "")
        try:
            evaluate(f'$contains("", /{pattern.pattern}/{flags})', {})
        except ExpressionFailed:
            self.problems.append(f"/{pattern.pattern}/ is not understood; look-around and back-references do not exist")

    def _variable(self, symbol: Any, relative: bool) -> None:
        if symbol.value == "$" or (symbol.value == "" and not relative):
            self.problems.append(_WHOLE)
        elif symbol.value != "":
            self.called.add(symbol.value)


def _looks_back(step: Any) -> bool:
    """Whether a later step is looked up in what this one was: by its parent, %, or its focus, @."""
    return getattr(step, "ancestor", None) is not None or getattr(step, "focus", None) is not None


def _parts(symbol: Any) -> Iterator[Any]:
    for attribute in _CHILDREN:
        child = getattr(symbol, attribute, None)
        if hasattr(child, "type"):
            yield child
    for attribute in _LISTS:
        for child in getattr(symbol, attribute, None) or ():
            if hasattr(child, "type"):
                yield child
    for attribute in ("lhs_object", "rhs_object"):
        for pair in getattr(symbol, attribute, None) or ():
            yield from pair


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
