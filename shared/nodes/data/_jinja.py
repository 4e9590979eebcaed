"""Jinja2 for templates that tenants write: its sandbox, without the ways in which a template could take without end.

Jinja's sandbox keeps a template from Python's inside, and lets it loop, multiply and pad as it likes. So here every
pass of a loop, call, filter, operator and piece of output is paid for from a budget of time and size, also in blocks
that are captured; filters and methods are those named below, whose work is bounded by what they are given; and a
value is never larger than what was paid for it, though the same list stand in it many times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, wraps
from types import CodeType
from typing import Any, Final

from jinja2 import TemplateError, nodes, pass_context
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from shared.nodes.base import NodeError
from shared.nodes.data._budget import Budget
from shared.nodes.data._text import text_of

# No `random` (the same data give the same text), and none that pads, formats or copies by a number in the template.
_FILTERS: Final = (
    "abs capitalize count d default dictsort e escape filesizeformat first float forceescape groupby indent int "
    "items join last length list lower map max min reject rejectattr replace reverse round safe select selectattr "
    "sort string sum title tojson trim truncate unique upper urlencode wordcount "
)
_OF_TEXT: Final = (
    "capitalize casefold count endswith find index isalnum isalpha isdigit islower isnumeric isspace isupper "
    "lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip split splitlines "
    "startswith strip swapcase title upper "
)
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset(_OF_TEXT.split()),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "grouper", "index", "list"}),
}
_SCALARS: Final = (str, int, float, type(None), Undefined)
_BITS: Final = 1_024
_TAGS: Final = 2_000  # which Jinja compiles in a fifth of a second
_ELSEWHERE: Final[Any] = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)


def problem(text: str) -> str | None:
    """Why a template cannot be used, or None."""
    try:
        _compiled(text)
    except NodeError as error:
        return error.message
    return None


def render(text: str, names: Mapping[str, Any]) -> str:
    """The text. Raises NodeError: TemplateError, ValueTooLarge, Timeout."""
    code = _compiled(text)
    environment = _Environment(Budget())
    template = Template.from_code(environment, code, dict(environment.globals))
    try:
        return template.render(names)
    except NodeError:
        raise
    except Exception as error:  # whatever a template makes Jinja or Python say
        raise NodeError("TemplateError", _brief(error), retryable=False) from None


@lru_cache(maxsize=128)
def _compiled(text: str) -> CodeType:
    if text.count("{{") + text.count("{%") > _TAGS:
        raise NodeError("TemplateError", f"there are over {_TAGS:,} tags", retryable=False)
    environment = _Environment(Budget())
    try:
        tree = environment.parse(text)
        if tree.find(_ELSEWHERE):
            raise NodeError("TemplateError", "there are no other templates to include or import", retryable=False)
        return environment.compile(_Metered().visit(tree))
    except NodeError:
        raise
    except Exception as error:  # Python's compiler has a say, too
        raise NodeError("TemplateError", _brief(error), retryable=False) from None


def _brief(error: BaseException) -> str:
    if isinstance(error, (RecursionError, MemoryError)):
        return "the template nests too deep"
    line = getattr(error, "lineno", None) if isinstance(error, TemplateError) else None
    return f"{str(error)[:300] or type(error).__name__}{f', at line {line}' if line else ''}"


class _Metered(NodeTransformer):
    """Puts payments into a template."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _payment(0, node.lineno))
        return node

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        self.generic_visit(node)
        size = sum(len(each.data) for each in node.nodes if isinstance(each, nodes.TemplateData))
        return [_payment(size, node.lineno), node]

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("tilde", node.nodes, node.lineno)

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.target, nodes.NSRef) or node.target.find(nodes.NSRef):
            node.node = _call("paid", [node.node], node.lineno)
        return node

    def visit_Compare(self, node: nodes.Expr) -> nodes.Node:
        return _call("ticked", [self.generic_visit(node)], node.lineno)

    visit_Getitem = visit_Test = visit_Compare

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return _call("paid", [self.generic_visit(node)], node.lineno)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return _call("paid", [self.generic_visit(node)], node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _call("paid", [node], node.lineno) if node.ctx == "load" else node


def _payment(size: int, line: int) -> nodes.Node:
    return nodes.ExprStmt(_call("pay", [nodes.Const(size, lineno=line)], line), lineno=line)


def _call(name: str, arguments: list[Any], line: int) -> nodes.Node:
    called = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(called, arguments, [], None, None, lineno=line)


class _Environment(ImmutableSandboxedEnvironment):
    """Made for one rendering; its budget is that rendering's."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, budget: Budget) -> None:
        super().__init__(finalize=self._written, optimized=False)
        self._budget = budget
        self.filters = {name: self._bounded(name, self.filters[name]) for name in _FILTERS.split()}
        self.filters["sum"] = self._bounded("sum", _sum)
        self.globals = {name: self.globals[name] for name in ("range", "namespace")}

    def pay(self, size: int) -> None:
        """Take so much from the budget. Raises NodeError."""
        self._budget.spend(size)

    @pass_context  # or constants would be written when compiling, and not paid for
    def _written(self, context: Context, value: Any) -> str:
        del context
        text = _text(value)
        self.pay(len(text))
        return text

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of the data comes before a method of the same name: `order.items` is the order's items."""
        return obj[attribute] if isinstance(obj, dict) and attribute in obj else super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """`format` is no method here: its widths know no bounds."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Those named above, and what a loop says of itself."""
        kind = next((kind for kind in _METHODS if isinstance(obj, kind)), None)
        named = attr in _METHODS[kind] if kind else isinstance(obj, LoopContext) or not callable(value)
        return named and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Every call is paid for by what it gives; the environment's own pay for themselves."""
        if getattr(obj, "__self__", None) is self:
            return obj(*args)  # without the names in scope, which Jinja gives along
        self.pay(1)
        if obj is Namespace:
            self.paid(kwargs)
        result = super().call(context, obj, *args, **kwargs)
        self.pay(len(result) if isinstance(result, (str, list)) else 0)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators, on numbers of bounded size; `+` on texts and lists, and `*` within the budget."""
        self.pay(1)
        if operator == "%" and not _is_number(left):
            raise SecurityError("% works on numbers only")
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            sequence, times = (right, left) if _is_number(left) else (left, right)
            self.pay(_size(sequence, self.pay) * max(0, int(times)))
        if operator == "**" and abs(right) * max(1, _bits(left)) > _BITS:
            raise SecurityError("the number is too large")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and _bits(result) > _BITS:
            raise SecurityError("the number is too large")
        return self.paid(result) if operator == "+" and not _is_number(result) else result

    def tilde(self, *values: Any) -> str:
        """What `~` does."""
        text = "".join(_text(value) for value in values)
        self.pay(len(text))
        return text

    def ticked(self, value: Any) -> Any:
        """The value of something that may have taken long."""
        self.pay(1)
        return value

    def paid(self, value: Any) -> Any:
        """The value, paid for by all that is in it."""
        self.pay(_size(value, self.pay))
        return value

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def bounded(*args: Any, **kwargs: Any) -> Any:
            given = 1 if hasattr(function, "jinja_pass_arg") else 0
            first, own = args[:given], list(args[given:])
            if name == "join":
                own[0] = list(own[0])
            self.pay(_ahead(name, *own, **kwargs))
            result = function(*first, *own, **kwargs)
            self.pay(len(result) if isinstance(result, (str, list)) else 0)
            return result

        return bounded


def _ahead(name: str, value: Any, *args: Any, **kwargs: Any) -> int:
    """What a filter's result takes beyond what it is given. Raises SecurityError for what it is not to be given."""
    for each in (value, *args, *kwargs.values()):
        if type(each).__name__ in ("Namespace", "Macro", "Context", "TemplateReference", "LoopContext"):
            raise SecurityError(f"{name} cannot take this")
    texts = [len(each) for each in (*args, *kwargs.values()) if isinstance(each, str)]
    numbers = [abs(each) for each in (*args, *kwargs.values()) if _is_number(each)]
    if name in ("round", "tojson") and max(numbers, default=0) > 20:
        raise SecurityError(f"{name} takes numbers up to 20")
    if name == "join":
        return max(texts, default=0) * len(value)
    if name == "replace":
        return max(texts, default=0) * (len(_text(value)) + 1) if max(texts, default=0) > 1 else 0
    if name == "indent":
        return int(max([*texts, *numbers], default=4)) * (_text(value).count("\n") + 2)
    return 1


def _sum(iterable: Any, attribute: str | None = None) -> Any:
    """Jinja's adds lists, too, in time that grows with the square."""
    values = [each[attribute] if attribute else each for each in iterable]
    if not all(_is_number(value) for value in values):
        raise TypeError("sum needs numbers")
    return sum(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 1


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)
    if isinstance(value, (*_SCALARS, list, tuple, dict)):
        return str(value) if isinstance(value, str) else text_of(value)
    raise SecurityError("only data can be written: texts, numbers, lists and objects")


def _size(value: Any, pay: Callable[[int], None]) -> int:
    """Characters and elements in a value, each as often as it stands there; what that takes is paid for on the way."""
    size, rest = 0, [value]
    while rest:
        each = rest.pop()
        size += len(each) + 1 if isinstance(each, str) else 1
        if isinstance(each, (list, tuple, dict)):
            pay(len(each))
            rest.extend(_inside(each))
        elif not isinstance(each, _SCALARS):
            raise SecurityError("only data can be kept: texts, numbers, lists and objects")
    return size


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    else:
        yield from value
