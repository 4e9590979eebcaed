"""What workflows have done, and what a tenant has used and may use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.api.schemas.base import Answer, TimeOut

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Share = Annotated[float, Field(ge=0, le=1)]


class RunCounts(Answer):
    """Runs by what has become of them."""

    total: int
    pending: int
    running: int
    paused: int
    completed: int
    failed: int
    cancelled: int


class Percentiles(Answer):
    """Of what has completed, in milliseconds; at most 2 % off. Null where nothing has."""

    p50: int | None
    p95: int | None


class NodeTime(Percentiles):
    """`total` is the time of all that ran, in milliseconds."""

    total: int


class ErrorCount(Answer):
    """How often something failed with this error."""

    error: str
    count: int


class NodeStats(Answer):
    """What a node has done. `share` of the time that all nodes took; null for a container, whose time is its body's."""

    node_id: str
    runs: int
    completed: int
    failed: int
    skipped: int
    duration_ms: NodeTime
    container: bool
    share: Share | None
    errors: list[ErrorCount]


class Bottleneck(Answer):
    """The node in which the largest share of the time that all nodes took went by."""

    node_id: str
    share: Share


class ModelUse(Answer):
    """What a model was used for. `money_usd` is null where no price is known."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    money_usd: float | None


class Outcome(Answer):
    """`success_rate`: of the runs that completed or failed, the share of those that completed; null where none has."""

    runs: RunCounts
    success_rate: Share | None


class DayStats(Outcome):
    """One day; days without runs are left out."""

    day: Day


class StatsOut(Outcome):
    """What a workflow's runs have come to. A run counts on the day (UTC) it was created. `calls`: how often its state
    machines called a function.
    """

    from_: Annotated[Day, Field(alias="from")]
    to: Day
    duration_ms: Percentiles
    errors: list[ErrorCount]
    nodes: list[NodeStats]
    bottleneck: Bottleneck | None
    models: list[ModelUse]
    money_usd: float
    calls: int
    days: list[DayStats]


class Used(Outcome):
    """What was used. `money_usd` is of the models whose prices are known."""

    calls: int
    tokens: int
    money_usd: float
    models: list[ModelUse]


class DayUse(Used):
    """One day; days without runs are left out."""

    day: Day


class Storage(Answer):
    """What the tenant's files take: as last counted, and reserved since."""

    bytes: int
    files: int


class UsageOut(Used):
    """What the tenant has used. A run, and what it used, counts on the day (UTC) the run was created."""

    from_: Annotated[Day, Field(alias="from")]
    to: Day
    storage: Storage
    days: list[DayUse]


class QuotaOut(Answer):
    """One limit. `used` is null where it is not counted; `resets_at` where it does not start anew."""

    name: str
    limit: float
    used: float | None
    unit: Literal["runs", "tokens", "usd", "bytes", "files", "requests"]
    resets_at: TimeOut | None


class QuotasOut(Answer):
    """What the tenant may use: all limits, in one page."""

    items: list[QuotaOut]
    next_cursor: None = None
