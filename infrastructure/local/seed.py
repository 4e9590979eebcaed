"""Two tenants to work with, made as anybody would make them: by signing up over HTTP."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from infrastructure.local.process import LocalError


@dataclass(frozen=True, slots=True)
class SeededTenant:
    """A tenant that signed up, and how to come in as its owner."""

    name: str
    tenant_id: str
    api_key: str
    email: str
    password: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that a request of this tenant carries."""
        return {"X-API-Key": self.api_key}


def write_private(path: Path, value: Any) -> None:
    """JSON that only its owner may read. The file is there whole, or not at all."""
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    scratch.replace(path)


def seed(api_url: str, keep: Path) -> list[SeededTenant]:
    """The tenants of an earlier start, read from `keep`, if their keys still work; fresh ones otherwise."""
    kept = [SeededTenant(**entry) for entry in json.loads(keep.read_text())] if keep.exists() else []
    with httpx.Client(base_url=api_url, timeout=30, trust_env=False) as http:
        if kept and all(_still_there(http, tenant) for tenant in kept):
            return kept
        tenants = [sign_up(http, name) for name in ("First tenant", "Second tenant")]
    write_private(keep, [asdict(tenant) for tenant in tenants])
    return tenants


def _still_there(http: httpx.Client, tenant: SeededTenant) -> bool:
    answer = http.get("/api/v1/tenants/current", headers=tenant.headers)
    return answer.status_code == 200


def sign_up(http: httpx.Client, name: str) -> SeededTenant:
    """A new tenant with an owner of its own. Raises LocalError if the API refuses."""
    email = f"owner-{secrets.token_hex(6)}@example.com"
    password = f"Aa1-{secrets.token_urlsafe(18)}"
    answer = http.post("/api/v1/tenants", json={"name": name, "owner": {"email": email, "password": password}})
    if answer.status_code != 201:
        raise LocalError(f"signing up a tenant got {answer.status_code}: {answer.text[:2000]}")
    made = answer.json()
    return SeededTenant(name, made["tenant"]["id"], made["api_key"]["key"], email, password)
