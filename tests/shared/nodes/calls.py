"""A node's call as the engine makes it: defaults filled in, templates evaluated, expressions by the real evaluator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.aws.foreign import foreign
from shared.credentials.token_server import TokenRefused
from shared.errors import NotFound
from shared.expressions import jsonata, template
from shared.nodes.base import Call, Effect, NodeError, NodeType, Outputs, Pure, Trigger
from shared.nodes.registry import get
from shared.nodes.world import Credential, Response
from shared.outbound.aws import NOT_CONFIGURED, AwsFailed


@dataclass
class Scope:
    """Expressions over `names`."""

    names: Mapping[str, Any]

    def evaluate(self, expression: str, extra: Mapping[str, Any] | None = None) -> Any:
        try:
            return jsonata.evaluate(expression, {**self.names, **(extra or {})})
        except jsonata.ExpressionFailed as error:
            raise NodeError("ExpressionError", str(error)) from None


@dataclass
class Outside:
    """A world that keeps its log. What else it holds is given by tests that need it: real stores on moto, mostly."""

    openai_base_url: str = ""
    openai_api_key: str = ""
    allowed_hosts: frozenset[str] = frozenset()
    lines: list[tuple[str, Any]] = field(default_factory=list)
    cache: Any = None
    files: Any = None
    credentials: Any = None
    sandbox: Any = None
    graphs: Any = None
    collections: Any = None
    resources: Any = None
    workflows: Any = None
    threads: Any = None
    process_threads: Any = None
    mcp_commands: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def aws(self, service: str, credential: Credential | None, *, timeout: float, attempts: int = 3) -> Any:
        if credential is None:
            raise AwsFailed(NOT_CONFIGURED, "give the node a credential of the kind aws")
        return foreign(service, credential.values, self.allowed_hosts, timeout=timeout, attempts=attempts)

    responses: list[Response] = field(default_factory=list)

    notify: Any = None

    def respond(self, response: Response) -> None:
        self.responses.append(response)

    def log(self, level: str, message: Any, *, node_id: str | None = None) -> None:
        self.lines.append((level, message))


@dataclass
class Keyring:
    """Credentials that are open: `Keyring({"crm": ("bearer", {"token": "x"})})`."""

    held: Mapping[str, tuple[str, Mapping[str, Any]]]

    def open(self, name: str) -> Credential:
        if name not in self.held:
            raise NotFound(f"there is no credential {name}")
        return Credential(name, *self.held[name])

    async def access_token(self, name: str, stale: str | None = None) -> str:
        raise TokenRefused(f"{name} has no token server here")  # tests of tokens have a real store


def call(
    type_name: str,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    names: Mapping[str, Any] | None = None,
    world: Outside | None = None,
    timeout_seconds: float = 20,
) -> Call:
    """A call of a node of that type."""
    node_type = get(type_name)
    scope = Scope({"inputs": dict(inputs or {}), **(names or {})})
    filled = _filled(node_type.config_schema, dict(config or {}))
    return Call(
        inputs=dict(inputs or {}),
        config=_rendered(node_type.schema_for(filled), filled, scope),
        expressions=scope,
        world=world or Outside(),
        node_id="n1",
        execution_id="ex_1",
        attempt=1,
        idempotency_key="ex_1:n1",
        timeout_seconds=timeout_seconds,
        usage={},
    )


def evaluate(type_name: str, config: Mapping[str, Any] | None = None, inputs: Any = None, **more: Any) -> Outputs:
    """The outputs of a Pure type."""
    node_type = get(type_name)
    assert isinstance(node_type, Pure)
    return node_type.evaluate(call(type_name, config, inputs, **more))


def execute(type_name: str, config: Mapping[str, Any] | None = None, inputs: Any = None, **more: Any) -> Outputs:
    """The outputs of an Effect type."""
    return run(call(type_name, config, inputs, **more), type_name)


def run(made: Call, type_name: str) -> Outputs:
    """The outputs of an Effect type for a call that is there already."""
    node_type = get(type_name)
    assert isinstance(node_type, Effect)
    return asyncio.run(node_type.execute(made))


def deliver(type_name: str, data: Any, config: Mapping[str, Any] | None = None) -> Outputs:
    """The outputs of a trigger."""
    node_type = get(type_name)
    assert isinstance(node_type, Trigger)
    return node_type.deliver(data, _filled(node_type.config_schema, dict(config or {})))


def problems(type_name: str, config: Mapping[str, Any]) -> list[str]:
    """Where a type finds its config wrong, beyond its schema."""
    return [p.path or "" for p in get(type_name).check_config(config)]


def fits(node_type: NodeType, config: Mapping[str, Any]) -> bool:
    """Whether a config without templates fits the type's schema."""
    from jsonschema import Draft202012Validator

    return bool(Draft202012Validator(node_type.config_schema).is_valid(config))


def _filled(schema: Mapping[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    defaults = {n: s["default"] for n, s in schema["properties"].items() if "default" in s}
    return {**defaults, **config}


def _rendered(schema: Mapping[str, Any], value: Any, scope: Scope) -> Any:
    if schema.get("x-template"):
        return template.render(value, scope.evaluate)
    if isinstance(value, dict):
        return {k: _rendered(schema.get("properties", {}).get(k, {}), v, scope) for k, v in value.items()}
    if isinstance(value, list):
        return [_rendered(schema.get("items", {}), v, scope) for v in value]
    return value
