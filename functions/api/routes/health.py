"""Whether the API answers at all. Public."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from functions.api.schemas.base import Answer

router = APIRouter(prefix="/health", tags=["health"])


class Health(Answer):
    """The API answers."""

    status: Literal["ok"]


@router.get("")
async def health() -> Health:
    """Say that the API answers. It touches no other service."""
    return Health(status="ok")
