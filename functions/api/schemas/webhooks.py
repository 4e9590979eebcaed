"""Webhooks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.triggers.service import MAX_GRACE_S, WebhookView
from shared.workflows.model import Id


class WebhookIn(Body):
    """The addresses to make for a webhook node of a draft."""

    workflow_id: Id
    node_id: Id


class RotateIn(Body):
    """How to replace the secret. `secret`: the one that the sender has made (Stripe, Slack); without it we make one."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_S)] = 0
    secret: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{16,256}$")] | None = None


class WebhookOut(Answer):
    """A webhook, without its secret. `url` starts the published version, `test_url` the draft.

    `auth`, `preset`, `methods` and `response_mode` are the published version's; null while `is_live` is false.
    With `basic` the user name is the webhook's id and the password its secret.
    """

    id: str
    workflow_id: str
    node_id: str
    url: str
    test_url: str
    is_live: bool
    auth: str | None
    preset: str | None
    methods: list[str] | None
    response_mode: str | None
    has_secret: bool
    previous_secret_until: TimeOut | None
    created_at: TimeOut

    @model_validator(mode="before")
    @classmethod
    def _of_view(cls, view: Any) -> Any:
        if not isinstance(view, WebhookView):
            return view
        values = {name: getattr(view, name) for name in WebhookView.__slots__}
        config = view.config
        live: dict[str, Any] = dict.fromkeys(("auth", "preset", "methods", "response_mode"))
        if view.is_live:
            auth = config.get("auth", "none")
            live["auth"] = auth
            live["preset"] = config.get("preset", "generic") if auth == "hmac" else None
            live["methods"] = config.get("methods", ["POST"])
            live["response_mode"] = config.get("response_mode", "accepted")
        return values | live


class NewSecret(WebhookOut):
    """A webhook with a secret that was just made. `secret` is shown this once; null if there was none to show."""

    secret: str | None
