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

A type talks to the world only through its `Call`. It imports a heavy library inside the method that needs it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from shared.errors import Problem

PortType = Literal["string", "number", "boolean", "object", "array", "any"]
Category = Literal["trigger", "ai", "rag", "tools", "data", "logic", "human", "external", "mcp", "database", "output"]
Outputs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Port:
    """A place where values come in or go out. `multiple` inputs get the array of all delivered values."""

    type: PortType = "any"
    required: bool = False
    multiple: bool = False
    description: str = ""


class NodeError(Exception):
    """A node failed. `error` is one of the type's `errors` (or a general one); `message` is for people.

    The message may be shown to the tenant and is stored: put no secret into it. `retry_after` (seconds) is what the
    other side asked for; `retryable: False` makes a retry policy give up at once.
    """

    def __init__(self, error: str, message: str, *, retry_after: float | None = None, retryable: bool = True) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.retry_after = retry_after
        self.retryable = retryable


class Expressions(Protocol):
    """Evaluates what stands in a config, over the names in scope for this node."""

    def evaluate(self, expression: str, extra: Mapping[str, Any] | None = None) -> Any:
        """The value of a JSONata expression (undefined is None). `extra` adds names, such as `item` and `index`.

        Raises NodeError ExpressionError.
        """
        ...


class Found(Protocol):
    """What a cache holds under a key."""

    @property
    def value(self) -> Any:
        """The value, which may be null."""
        ...


class Cache(Protocol):
    """The tenant's cache. Its calls block: make them off the event loop."""

    def get(self, key: str) -> Found | None:
        """What the key holds, or None. Raises AppError: Invalid, Unavailable."""
        ...

    def set(self, key: str, value: Any, ttl_seconds: float | None) -> None:
        """Keep a value for so long (None: an hour). Raises AppError: Invalid, TooLarge, Unavailable."""
        ...


class Files(Protocol):
    """The tenant's files. Its calls block: make them off the event loop."""

    def write(self, path: str, body: bytes, content_type: str) -> str:
        """Write a file, over one that is there; gives its path as it is kept.

        Raises AppError: Invalid, TooLarge, Unavailable.
        """
        ...


class World(Protocol):
    """What lies outside: built by the engine for a run, replaced in tests by real things on loopback."""

    @property
    def openai_base_url(self) -> str:
        """The default OpenAI-compatible endpoint."""
        ...

    @property
    def openai_api_key(self) -> str:
        """Its key."""
        ...

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`host:port` that an operator lets http_request reach although the address is private."""
        ...

    @property
    def cache(self) -> Cache:
        """The cache of the run's tenant."""
        ...

    @property
    def files(self) -> Files:
        """The files of the run's tenant."""
        ...

    def log(self, level: str, message: Any) -> None:
        """A line for the run's log (shown to the tenant) and the function's log (without the message)."""
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

    give every property `title`, `description`, and `default` where there is one. Two marks are ours: `"x-template":
    true` (the string may hold `{{ expression }}`) and `"x-expression": true` (the string *is* a JSONata expression).
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

    @abstractmethod
    def evaluate(self, call: Call) -> Outputs:
        """The ports it sets. Raises NodeError."""


class Effect(NodeType):
    """Touches the world."""

    idempotent: ClassVar[bool] = True

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
class Asked:
    """What is put before a person."""

    title: str
    instructions: str
    form: Mapping[str, Any] | None  # JSON Schema of the answer's data
    assignees: tuple[str, ...]  # user ids, e-mail addresses or user types; empty: anybody who may answer tasks
    timeout_seconds: int
    data: Any  # what the person is shown: the node's input


class Question(Wait):
    """Rests until a person answers or the time for it is over."""

    @abstractmethod
    def ask(self, call: Call) -> Asked:
        """What to ask. Raises NodeError InvalidInput."""

    @abstractmethod
    def answered(self, call: Call, answer: Mapping[str, Any]) -> Outputs:
        """The ports for an answer: `{decision, comment, completed_by, completed_at, data}`."""

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
