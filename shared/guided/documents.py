"""What templates of guided workflows, and the steps they may share, are made of. Strict, as `shared.resources`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from shared.metadata import Metadata
from shared.resources.documents import Description, Model, Name, Named, Part

WEEK_SECONDS: Final = 7 * 86_400
YEAR_SECONDS: Final = 365 * 86_400

StepId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$")]
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Message = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Target = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x20\x7f]+$")]

EndAction = Literal["api_call", "workflow", "tool_call", "none"]


class Rule(Part):
    """What has to hold once all fields of a step are there: JSONata over `state` and `now` (RFC 3339).

    `message` is told to the person when it does not.
    """

    expression: Expression
    message: Message


class Uses(Part):
    """The step definition that a step was copied from. Without `version`: the newest one when the template is saved."""

    step: Name
    version: int | None = Field(default=None, ge=1, le=10**6)


class Step(Part):
    """A step. A required one is done when all its fields are there; an optional one may be skipped by the person.

    `when` (JSONata over `state` and `now`): the step is only taken where it holds.
    """

    id: StepId
    name: Line = ""
    description: Description = ""
    fields: Annotated[list[FieldName], Field(max_length=100)] = Field(default_factory=list)
    required: bool = True
    when: Expression | None = None
    rules: Annotated[list[Rule], Field(max_length=20)] = Field(default_factory=list)
    uses: Uses | None = None


class StepDefinition(Named):
    """A step that templates may use: its fields come with their schemas."""

    title: Line = ""
    fields: Annotated[dict[FieldName, dict[str, Any]], Field(min_length=1, max_length=100)]
    required: bool = True
    when: Expression | None = None
    rules: Annotated[list[Rule], Field(max_length=20)] = Field(default_factory=list)


class Template(Named):
    """A guided workflow: which fields a person fills in, in which steps, and what is done with them in the end.

    `end_action_target` is the address (`api_call`), the workflow's id (`workflow`) or the tool's name (`tool_call`).
    With `confirm`, the person agrees to a summary before the end action. `model` null: the tenant's assistant.
    `expires_in_seconds` counts from the last thing that happened.
    """

    category: Line = ""
    metadata: Metadata = Field(default_factory=dict)
    guidelines: Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00]*$")] = ""
    state_schema: dict[str, Any]
    steps: Annotated[list[Step], Field(min_length=1, max_length=50)]
    end_action_type: EndAction = "none"
    end_action_target: Target | None = None
    end_action_method: Literal["POST", "PUT", "PATCH"] = "POST"
    end_action_credential: Name | None = None
    confirm: bool = True
    confirm_message: Message = "Please check this. Is it right?"
    is_active: bool = True
    model: Model | None = None
    expires_in_seconds: int = Field(default=WEEK_SECONDS, ge=60, le=YEAR_SECONDS)
