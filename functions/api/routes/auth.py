"""Signing in with a password. Public, and limited by address; the user pool limits attempts as well."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from functions.api.deps import source_address
from functions.api.schemas.users import LogIn, Refresh, TokensOut
from shared import limits
from shared.members import service

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/token")
def log_in(body: LogIn, request: Request, response: Response) -> TokensOut:
    """Tokens for an e-mail address and its password; `new_password` replaces a temporary one."""
    limits.count_log_in(source_address(request))
    response.headers["Cache-Control"] = "no-store"
    return TokensOut.model_validate(service.log_in(body.email, body.password, body.new_password))


@router.post("/refresh")
def refresh(body: Refresh, request: Request, response: Response) -> TokensOut:
    """New tokens for a refresh token."""
    limits.count_log_in(source_address(request))
    response.headers["Cache-Control"] = "no-store"
    return TokensOut.model_validate(service.refresh(body.refresh_token))
