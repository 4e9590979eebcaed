from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.generations.model import Generation
from shared.members.service import SignedUp
from shared.resources.documents import Model as Chosen
from shared.tenancy import Principal, Tenant
from stepfunctions.generator.generate import begin
from tests.stepfunctions.agents import Model


@pytest.fixture
def who(owner: SignedUp, tenant: Tenant) -> Principal:
    return Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)


@pytest.fixture
def generated(machines: Any, model: Model, who: Principal) -> Callable[..., Generation]:
    """What comes of a prompt when the model gives these answers, one after the other."""

    def made(prompt: str, *answers: Any, **more: Any) -> Generation:
        name = f"m{len(model.scripts)}"
        model.scripts[name] = [a if isinstance(a, str) else json.dumps(a) for a in answers]
        return begin(who, prompt, **{"model": Chosen(model=name), "wait_seconds": 25, **more})

    return made
