"""botocore clients: the function's own, and a tenant's, made with credentials that only reach that tenant's data."""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from shared.aws.reach import reaching
from shared.errors import Unavailable
from shared.settings import settings
from shared.tenancy import Tenant

# Retries are botocore's: `standard` backs off with jitter and knows which errors are safe to repeat.
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=20, inject_host_prefix=False
)
# Without this, presigned addresses are of an old kind in some regions, which does not sign an upload's size.
_S3 = Config(signature_version="s3v4")
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=30)
_SESSION_SECONDS = 3600  # role chaining allows no more (notes: STS)
_RENEW_BEFORE = 1_000  # longer than any call of a function may take: what it holds lasts to its end
_KEEPER = "the tenant's store"  # what its data role opens
_KEPT = 400  # tenants' clients in one process; each has a connection pool of its own

_lock = threading.Lock()
_tenant_sessions: dict[str, tuple[float, dict[str, Any]]] = {}
_tenant_clients: dict[tuple[str, str], tuple[float, Any]] = {}


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def client(service: str, endpoint: str | None = None) -> Any:
    """A client with the function's own role, of the service's own address or of one given. Made once per process."""
    with _lock:
        return _session().create_client(service, config=_config(service), endpoint_url=endpoint)


def _config(service: str) -> Config:
    return _CONFIG.merge(_S3) if service == "s3" else _CONFIG


@cache
def patient_client(service: str, seconds: int = 30) -> Any:
    """A client for a call that answers when what it set off is over, and that must not be made twice.

    It does not try again; its patience is such that it outlasts whoever waits for an HTTP API's answer (29 s).
    """
    with _lock:
        return _session().create_client(service, config=_CONFIG.merge(_PATIENT).merge(Config(read_timeout=seconds)))


def _credentials(tenant: Tenant) -> tuple[float, dict[str, Any]]:
    held = _tenant_sessions.get(tenant.id)
    if held and held[0] > time.time():
        return held
    try:
        with reaching(_KEEPER):
            answer = client("sts").assume_role(
                RoleArn=settings().tenant_role_arn,
                RoleSessionName=tenant.id,
                DurationSeconds=_SESSION_SECONDS,
                Tags=[{"Key": "TenantID", "Value": tenant.id}],
            )["Credentials"]
    except ClientError as error:  # a role's policy that was just changed; whatever it is, the caller can do nothing
        raise Unavailable(f"{_KEEPER} cannot be reached; try again") from error
    fresh = (time.time() + _SESSION_SECONDS - _RENEW_BEFORE, answer)
    _tenant_sessions[tenant.id] = fresh
    return fresh


def tenant_client(tenant: Tenant, service: str) -> Any:
    """A client that IAM confines to this tenant: the data role, assumed with the session tag TenantID.

    Cached per tenant for the life of its credentials. With no data role configured (unit tests on moto) it is the
    function's own client; the stores keep tenants apart by themselves as well. Raises Unavailable.
    """
    if not settings().tenant_role_arn:
        return client(service)
    slot = (tenant.id, service)
    held = _tenant_clients.get(slot)
    if held and held[0] > time.time():
        return held[1]
    expires, credentials = _credentials(tenant)
    with _lock:
        made = _session().create_client(
            service,
            config=_config(service),
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        # Here too: two threads that find too many at once must not drop the same ones.
        _tenant_clients[slot] = (expires, made)
        if len(_tenant_clients) > _KEPT:  # the ones made longest ago, which expire first
            for old in list(_tenant_clients)[: _KEPT // 4]:
                del _tenant_clients[old]
                _tenant_sessions.pop(old[0], None)
    return made


def forget() -> None:
    """Drop every cached client. For tests that change the environment."""
    client.cache_clear()
    patient_client.cache_clear()
    _session.cache_clear()
    _tenant_sessions.clear()
    _tenant_clients.clear()
