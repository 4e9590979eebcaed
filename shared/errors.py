"""What can go wrong in ways a caller should know about.

    AppError
    ├── BadRequest          400  not even well-formed
    ├── Unauthorized        401  no or unknown credentials
    ├── Forbidden           403  known, but the role or scope does not reach this far
    ├── NotFound            404  not there, or another tenant's (the two look the same)
    ├── Conflict            409  right request, wrong moment
    ├── PreconditionFailed  412  If-Match names an older state
    ├── TooLarge            413  over a limit, which `detail` names
    ├── Invalid             422  well-formed, but not acceptable; `errors` says where
    ├── RateLimited         429  try again after `retry_after` seconds
    └── Unavailable         503  try again; nothing was done
        └── Contended       503  two met on one thing, and this one gave way: try again at once

One place turns these into HTTP (`functions.api.problems`); whoever handles an error logs it, nobody logs and raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: where (`path`, dotted) and what."""

    code: str
    message: str
    path: str | None = None
    node_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The problem as JSON, without the fields that are not set."""
        return {k: v for k, v in asdict(self).items() if v is not None}


class AppError(Exception):
    """Base of every error a caller may see. `code` is stable; `detail` is for people."""

    status: ClassVar[int] = 500
    code: str = "internal"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        if code is not None:
            self.code = code


class BadRequest(AppError):
    """400."""

    status = 400
    code = "bad_request"


class Unauthorized(AppError):
    """401."""

    status = 401
    code = "unauthorized"


class Forbidden(AppError):
    """403."""

    status = 403
    code = "forbidden"


class NotFound(AppError):
    """404."""

    status = 404
    code = "not_found"


class Conflict(AppError):
    """409."""

    status = 409
    code = "conflict"


class PreconditionFailed(AppError):
    """412."""

    status = 412
    code = "stale"


class TooLarge(AppError):
    """413."""

    status = 413
    code = "too_large"


class Invalid(AppError):
    """422."""

    status = 422
    code = "invalid"


class RateLimited(AppError):
    """429. `retry_after` is in whole seconds, at least 1."""

    status = 429
    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after: int, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = max(1, retry_after)


class Unavailable(AppError):
    """503. `retry_after` is in whole seconds."""

    status = 503
    code = "unavailable"
    retry_after = 1


class Contended(Unavailable):
    """503. Loops that step aside do so for this one only: of a service that is down, ten tries are nine too many."""
