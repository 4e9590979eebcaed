"""What the tenant may use. Only the operators of the platform can change it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from functions.api.deps import require
from functions.api.schemas.usage import QuotasOut
from shared.tenancy import Principal
from shared.usage import service

router = APIRouter(prefix="/quotas", tags=["quotas"])
Reader = Annotated[Principal, require("viewer", "quotas:read")]


@router.get("")
def get(who: Reader) -> QuotasOut:
    """Every limit with what is used of it, and when it starts anew."""
    return QuotasOut.model_validate({"items": service.overview(who.tenant)})
