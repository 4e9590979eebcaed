"""One expression: JSONata 2.0.6 as Step Functions speaks it, and what it reads.

Parsed with jsonata-python, whose tree is open and whose grammar is that of a later JSONata: what came after 2.0.6 is
refused here. There is no input document, so names mean something only within a value: `$states.input.a`, `$v[b = 1]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

TOKEN: Final = ("context", "Task", "Token")
MAP_ITEM: Final = ("context", "Map", "Item")
# The last line is Step Functions' own; of JSONata's, $eval is not there.
_BUILT_IN: Final = """
    abs append assert average base64decode base64encode boolean ceil contains count decodeUrl decodeUrlComponent
    distinct each encodeUrl encodeUrlComponent error exists filter floor formatBase formatInteger formatNumber
    fromMillis join keys length lookup lowercase map match max merge millis min not now number pad parseInteger power
    random reduce replace reverse round shuffle sift single sort split spread sqrt string substring substringAfter
    substringBefore sum toMillis trim type uppercase zip
    hash parse partition range uuid
"""
FUNCTIONS: Final = frozenset(_BUILT_IN.split())
_LATER: Final = ("??", "?:")
_CHILDREN: Final = ("lhs", "rhs", "expression", "condition", "then", "_else", "pattern", "update", "delete")
_LISTS: Final = ("expressions", "terms")
_PAIRS: Final = ("lhs_object", "rhs_object")
_Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an expression reads: variables, and paths below `$states` (`("context", "Task", "Token")`)."""

    variables: frozenset[str] = frozenset()
    states: frozenset[tuple[str, ...]] = frozenset()
    problems: tuple[str, ...] = ()
    is_object: bool = False


def is_expression(value: Any) -> bool:
    """Whether a value is evaluated."""
    return isinstance(value, str) and len(value) >= 4 and value.startswith("{%") and value.endswith("%}")


def looks_like_expression(text: str) -> bool:
    """Whether a text is an expression or was meant to be one."""
    return text.lstrip().startswith("{%") or text.rstrip().endswith("%}")


def inside(text: str) -> str:
    """The JSONata of an expression."""
    return text[2:-2].strip()


@lru_cache(maxsize=8_192)
def analyse(text: str) -> Analysis:
    """Analyse JSONata. Never raises."""
    import jsonata  # heavy, and only the compiler comes here

    try:
        tree = jsonata.Jsonata(text).ast
        walk = _Walk()
        walk.visit(tree, False, frozenset())
    except Exception as error:  # the parser raises its own and Python's errors alike, RecursionError among them
        return Analysis(problems=(f"does not parse: {(str(error).splitlines() or [type(error).__name__])[0][:300]}",))
    problems = tuple(dict.fromkeys([*_later(text), *walk.problems]))
    is_object = tree.type == "unary" and tree.value == "{"
    return Analysis(frozenset(walk.variables), frozenset(walk.states), problems, is_object)


def _later(text: str) -> Iterator[str]:
    """Operators that 2.0.6 does not have. The tree no longer shows them, so the grammar is asked without each."""
    for operator in _LATER:
        if operator in text:
            from jsonata.parser import Parser

            parser = Parser()
            del parser.symbol_table[operator]
            try:
                parser.parse(text)
            except KeyError:
                yield f"{operator} is not in JSONata 2.0.6"


class _Walk:
    """Collects what is read. `relative`: names are looked up in some value; `bound`: names of the expression's own."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.states: set[tuple[str, ...]] = set()
        self.problems: list[str] = []

    def visit(self, symbol: Any, relative: bool, bound: _Names) -> _Names:
        """Visit a part; answers with the names that are bound after it."""
        match symbol.type:
            case "path":
                bound = self._path(symbol, relative, bound)
            case "block":
                self._all(symbol.expressions, relative, bound)
            case "bind":
                bound = self._bind(symbol, relative, bound)
            case "lambda":
                self.visit(symbol.body, relative, bound | {argument.value for argument in symbol.arguments})
            case "function" | "partial":
                self._call(symbol.procedure, relative, bound)
                for argument in symbol.arguments or ():
                    self.visit(argument, relative, bound)
            case "apply":
                self.visit(symbol.lhs, relative, bound)
                self._call(symbol.rhs, relative, bound)
            case "sort" | "transform":
                self._children(symbol, True, bound)
            case "name" | "wildcard" | "descendant" | "parent" if not relative:
                self.problems.append("there is no input document: read $states.input or a variable")
            case "variable":
                self._variable(symbol, (), relative, bound)
            case _:
                self._children(symbol, relative, bound)
        return self._attached(symbol, bound)

    def _all(self, parts: Any, relative: bool, bound: _Names) -> None:
        for part in parts or ():
            bound = self.visit(part, relative, bound)

    def _bind(self, symbol: Any, relative: bool, bound: _Names) -> _Names:
        name = symbol.lhs.value
        if name == "states":
            self.problems.append("$states cannot be assigned")
        own = {name} if symbol.rhs.type == "lambda" else set()  # a function may call itself
        self.visit(symbol.rhs, relative, bound | own)
        return bound | {name}

    def _call(self, procedure: Any, relative: bool, bound: _Names) -> None:
        if procedure.type != "variable":
            self.visit(procedure, relative, bound)
        elif procedure.value not in bound and procedure.value not in FUNCTIONS:
            self.problems.append(f"there is no function ${procedure.value}")

    def _path(self, symbol: Any, relative: bool, bound: _Names) -> _Names:
        first, *rest = symbol.steps
        if first.type == "variable":
            self._variable(first, rest, relative, bound)
            bound = self._attached(first, bound)
        else:
            bound = self.visit(first, relative, bound)
        for step in rest:
            bound = self._attached(step, bound) if step.type == "name" else self.visit(step, True, bound)
        return bound

    def _variable(self, symbol: Any, rest: Any, relative: bool, bound: _Names) -> None:
        name = symbol.value
        if name == "$" or (name == "" and not relative):
            self.problems.append("there is no input document: read $states.input or a variable")
        elif name == "states":
            self._states(symbol, rest)
        elif name == "eval" and name not in bound:
            self.problems.append("there is no function $eval")
        elif name != "" and name not in bound and name not in FUNCTIONS:
            self.variables.add(name)

    def _states(self, symbol: Any, rest: Any) -> None:
        path: list[str] = []
        before = symbol
        for step in rest:
            if step.type not in ("name", "string") or _filtered(before):
                break
            path.append(str(step.value))
            before = step
        if path:
            self.states.add(tuple(path[: len(TOKEN)]))
        else:
            self.problems.append("$states as a whole cannot be read: name what you read")

    def _children(self, symbol: Any, relative: bool, bound: _Names) -> None:
        for attribute in _CHILDREN:
            child = getattr(symbol, attribute, None)
            if hasattr(child, "type"):
                self.visit(child, relative, bound)
        for attribute in _LISTS:
            self._all(getattr(symbol, attribute, None), relative, bound)
        for attribute in _PAIRS:
            for pair in getattr(symbol, attribute, None) or ():
                self._all(pair, relative, bound)

    def _attached(self, symbol: Any, bound: _Names) -> _Names:
        """Filters, groups and the names that `@` and `#` give."""
        given = {n for n in (getattr(symbol, "focus", None), getattr(symbol, "index", None)) if isinstance(n, str)}
        bound |= given
        for stage in [*(getattr(symbol, "stages", None) or ()), *(getattr(symbol, "predicate", None) or ())]:
            if hasattr(getattr(stage, "expr", None), "type"):
                self.visit(stage.expr, True, bound)
            elif getattr(stage, "type", None) == "index":
                bound |= {str(stage.value)}
        if hasattr(getattr(symbol, "group", None), "type"):
            self._children(symbol.group, True, bound)
        return bound


def _filtered(symbol: Any) -> bool:
    return bool(getattr(symbol, "stages", None) or getattr(symbol, "predicate", None))
