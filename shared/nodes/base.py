"""What a node type is. One file a type; its name is the type's name; the class in it is its whole declaration.

    NodeType
    ├── Trigger     starts a run; its outputs come from the trigger's data
    ├── Pure        expr: data in, data out; may be computed again, never costs a call of its own
    ├── Effect      run: touches the world; its result is recorded before anything downstream starts
    ├── Wait        state: the run rests outside a function
    │   ├── Timer     until a moment
    │   ├── Question  until a person answers
    │   └── Child     until another run has ended
    └── Container   runs the nodes whose `parent` it is
        └── Composite   brings its own body

A type talks to the world only through its `Call`. It imports a heavy library inside the method that needs it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol

from shared.errors import Problem
from shared.nodes.world import World

PortType = Literal["string", "number", "boolean", "object", "array", "any"]
Category = Literal["trigger", "ai", "rag", "tools", "data", "logic", "human", "external", "mcp", "database", "output"]
Runner = Literal["runner", "documents"]
Outputs = dict[str, Any]

# An input port that every type has beside its own: what leads there comes first, and its value is not looked at.
AFTER: Final = "after"


@dataclass(frozen=True, slots=True)
class Port:
    """A place where values come in or go out. `multiple` inputs get the array of all delivered values."""

    type: PortType = "any"
    required: bool = False
    multiple: bool = False
    description: str = ""


# Errors after which nobody knows whether the other side has done it: no answer has come, or none that can be used.
UNSURE: Final = frozenset({"Timeout", "ConnectionFailed", "InvalidResponse", "Closed", "NoMatch"})


class NodeError(Exception):
    """A node failed. `error` is one of the type's `errors` (or a general one); `message` is for people.

    The message may be shown to the tenant and is stored: put no secret into it. `retry_after` (seconds) is what the
    other side asked for; `retryable: False` makes a retry policy give up at once. Half a surrogate pair in the message,
    which no store takes, becomes `?`. `unsure`: what was asked for may have happened, so a node that is not idempotent
    is not tried again; without it, that goes by the name.
    """

    def __init__(
        self,
        error: str,
        message: str,
        *,
        retry_after: float | None = None,
        retryable: bool = True,
        unsure: bool | None = None,
    ) -> None:
        message = message.encode(errors="replace").decode()
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.retry_after = retry_after
        self.retryable = retryable
        self.unsure = error in UNSURE if unsure is None else unsure


class Expressions(Protocol):
    """Evaluates what stands in a config, over the names in scope for this node."""

    def evaluate(self, expression: str, extra: Mapping[str, Any] | None = None) -> Any:
        """The value of a JSONata expression (undefined is None). `extra` adds names, such as `item` and `index`.

        Raises NodeError ExpressionError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One execution of one node.

    `inputs` holds a value for every input port that has one. `config` has its defaults filled in and its templates
    already evaluated; fields marked `x-expression` are still text, to be evaluated through `expressions`.
    `idempotency_key` names this node run (and iteration) to the outside; it is the same for every attempt.
    """

    inputs: Mapping[str, Any]
    config: Mapping[str, Any]
    expressions: Expressions
    world: World
    node_id: str
    execution_id: str
    attempt: int
    idempotency_key: str
    timeout_seconds: float
    usage: dict[str, Any]


class NodeType(ABC):
    """The declaration of a type. `config_schema` is JSON Schema 2020-12, good enough to draw the type's form:

    give every property `title`, `description`, and `default` where there is one. Four marks are ours: `"x-template":
    true` (the string may hold `{{ expression }}`), `"x-expression": true` (the string *is* a JSONata expression),
    `"x-credential": [kinds]` (the string names one of the tenant's credentials, of one of these kinds) and
    `"x-secret": true` (the string should be a template: what it comes to is secret).
    """

    type: ClassVar[str]  # set by the registry: the file's name
    category: ClassVar[Category]
    display_name: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[Mapping[str, Port]] = {}
    outputs: ClassVar[Mapping[str, Port]] = {}
    config_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    errors: ClassVar[tuple[str, ...]] = ()
    # {"config": …, "inputs": …}, with "outputs" for Pure types, and for triggers "data" and "outputs"
    example: ClassVar[Mapping[str, Any]] = {}
    timeout_seconds: ClassVar[float] = 60

    @classmethod
    def output_ports(cls, config: Mapping[str, Any]) -> Mapping[str, Port]:
        """The output ports under this config (a `switch` has one per case). `error` is added by the engine."""
        del config
        return cls.outputs

    @classmethod
    def schema_for(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """`config_schema` with the marks that hold under this config (which may not fit the schema)."""
        del config
        return cls.config_schema

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with a config beyond its schema, such as a bad cron; `path` starts with `config`.

        Asked only for a config that fits the schema. Defaults are not filled in and templates are still text.
        """
        del config
        yield from ()

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """Names that this type adds to the scope of its `x-expression` fields, such as `item` and `index`."""
        return frozenset()


class Trigger(NodeType):
    """Starts a run. `deliver` shapes the trigger's data into output ports."""

    category = "trigger"

    @abstractmethod
    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """Output ports from the trigger's data. Raises NodeError InvalidInput."""


class Pure(NodeType):
    """Data in, data out."""

    timed: ClassVar[bool] = False  # it keeps to the node's time-out; others are too quick to have one

    @abstractmethod
    def evaluate(self, call: Call) -> Outputs:
        """The ports it sets. Raises NodeError."""


class Effect(NodeType):
    """Touches the world."""

    runner: ClassVar[Runner] = "runner"  # the function that has the libraries of this type
    keeps: ClassVar[bool] = False  # what it is given, it stores among ourselves: so it reads no secrets
    boxed: ClassVar[bool] = False  # a tenant's code: the sandbox function runs it, the runner waits

    @abstractmethod
    async def execute(self, call: Call) -> Outputs:
        """The ports it sets. Raises NodeError; anything else becomes `Internal`. Cancelled when its time is over."""


class Wait(NodeType):
    """The run rests outside a function: a `Timer`, a `Question` or a `Child`."""


class Timer(Wait):
    """Rests until a moment. A moment at most a second away is waited for inside the segment."""

    @abstractmethod
    def until_ms(self, call: Call, now_ms: int) -> int:
        """When to go on, in milliseconds since the epoch. Raises NodeError InvalidInput."""

    @abstractmethod
    def elapsed(self, call: Call, waited_ms: int) -> Outputs:
        """The ports it sets when the time has come."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom a question goes to when nobody has answered it for so long; `replace`: instead of those who have it."""

    after_seconds: int
    assignees: tuple[str, ...]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is put before a person."""

    title: str
    instructions: str
    form: Mapping[str, Any] | None  # JSON Schema of the answer's data
    assignees: tuple[str, ...]  # user ids, e-mail addresses or user types; empty: anybody who may answer tasks
    timeout_seconds: int
    data: Any  # what the person is shown: the node's input
    due_ms: int | None = None  # when it should be answered, in milliseconds since the epoch
    escalation: tuple[Escalation, ...] = ()
    quorum: int | None = None  # so many people have to approve
    no_self_approval: bool = False  # whoever started the run cannot answer
    notify: Literal["in_app", "email", "none"] = "in_app"
    credential: str | None = None  # the mail server for `email`


class Question(Wait):
    """Rests until a person answers or the time for it is over."""

    @abstractmethod
    def ask(self, call: Call) -> Asked:
        """What to ask. Raises NodeError InvalidInput."""

    @abstractmethod
    def answered(self, call: Call, answer: Mapping[str, Any]) -> Outputs:
        """The ports for an answer `{decision, comment, completed_by, completed_at, data}`; a quorum has `votes` too."""

    @abstractmethod
    def lapsed(self, call: Call) -> Outputs:
        """The ports when nobody answered in time. Raises NodeError Timeout where that is a failure."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The run that a node wants: of which workflow, of which version (None: the published one), with what data."""

    workflow_id: str
    version: int | None
    data: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child's run ended: `completed`, `failed`, `cancelled`, or `lost` when there is nothing to be had of it.

    `output` is handed on as it is, and not looked into: it may stand for a large value that lies elsewhere.
    """

    execution_id: str
    status: Literal["completed", "failed", "cancelled", "lost"]
    output: Any = None
    error: Mapping[str, Any] | None = None  # {node_id, error, message}


class Child(Wait):
    """Rests until a run that it has started has ended, or the time for that is over."""

    @abstractmethod
    def wanted(self, call: Call) -> Wanted:
        """What to start."""

    @abstractmethod
    def ended(self, call: Call, run: Ended) -> Outputs:
        """The ports for an ending. Raises NodeError where that is a failure."""

    @abstractmethod
    def lapsed(self, call: Call) -> Outputs:
        """The ports when the run did not end in time. Raises NodeError Timeout where that is a failure."""


class Container(NodeType):
    """Runs its body. `inner` are the ports that its body sees, as outputs of the container.

    `repeats`: once for each item of the input `items`; while `config.condition` is true; again when it has failed.
    """

    repeats: ClassVar[Literal["each", "while", "again"]]
    inner: ClassVar[Mapping[str, Port]] = {}
    body_names: ClassVar[frozenset[str]] = frozenset()  # names in the body's scope, such as `item` and `index`


@dataclass(frozen=True, slots=True)
class Part:
    """A node of a composite's body. `type` may be one that only bodies have: `agent.model`, in the file
    `_agent_model.py`.

    `within` names the part, a container, in whose body it is. `tried`: the composite's own retry policy, time-out and
    `idempotent` are this part's.
    """

    name: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    within: str = ""
    tried: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """A composite's body. `wires` are `model.calls -> tools.items`; without a part's name, `.state`, it is the
    composite's own: `state`, and `iteration`.
    """

    parts: tuple[Part, ...]
    wires: tuple[str, ...]


class Composite(Container):
    """A container whose body is the type's own, not the document's: the compiler puts it in.

    Its passes hand on a state, as those of a `while_loop` do. Names in `inside` have no dot.
    """

    repeats = "while"

    @classmethod
    @abstractmethod
    def inside(cls, config: Mapping[str, Any]) -> Inside:
        """The body under this config, whose templates are still text. Defaults are not filled in."""

    @abstractmethod
    def first(self, call: Call) -> Any:
        """The state before the first pass. Raises NodeError."""

    @abstractmethod
    def goes_on(self, state: Any) -> bool:
        """Whether there is another pass."""

    @abstractmethod
    def outcome(self, call: Call, state: Any) -> Outputs:
        """The ports it sets when its passes are over. Raises NodeError."""
