"""What tests stand on: an empty AWS (moto) with the template's resources, two tenants in it, clients of the API.

def test_widgets(api_client, other_client):        # two tenants' owners, over the real Lambda handler
    made = api_client.post("/widgets", json={"name": "x"}).json()
    assert other_client.get(f"/widgets/{made['id']}").status_code == 404

def test_store(tenant, other_tenant):              # shared.tenancy.Tenant values of the same two
    WidgetStore(TenantTable(tenant)).…
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.dynamodb.responses import DynamoHandler

from infrastructure.local import cloud
from tests import echo_server, http_api
from tests.echo_server import EchoServer
from tests.jwks_server import KeyServer, serving
from tests.servers.fixtures import mariadb_server as mariadb_server
from tests.servers.fixtures import postgres_server as postgres_server
from tests.servers.fixtures import redis_server as redis_server

ROOT = Path(__file__).parents[1]
OURS = tuple(f"{ROOT}/{folder}/" for folder in ("functions", "stepfunctions", "shared", "tests"))
_SCAN = DynamoHandler.scan

# Before anything makes a client: nothing may leave the machine.
for _name in [n for n in os.environ if n.startswith(("SW_", "AWS_"))]:
    del os.environ[_name]
os.environ.update(cloud.ENVIRONMENT)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no names: archives hold the time they were made, and workers must agree on what they collect."""
    return argname if isinstance(val, bytes) else None


def _no_scan(handler: DynamoHandler) -> str:
    """A Scan reads the whole table, everybody's: tests may look so, the product may not."""
    asking = next(f for f in inspect.stack()[1:] if f.filename.startswith(OURS))
    assert asking.filename.startswith(f"{ROOT}/tests/"), "the product scans the table"
    return _SCAN(handler)


def forget_everything() -> None:
    """Drop every cache of this process that depends on the environment or on what is stored."""
    from shared import limits
    from shared.aws import jwks
    from shared.members import access
    from shared.settings import settings
    from shared.usage import service as usage

    # Clients may stay: their region and credentials are the same for all tests, and making one takes long.
    settings.cache_clear()
    jwks.forget()
    access.forget()
    limits.forget()
    usage.forget()
    publish = sys.modules.get("stepfunctions.publish")
    if publish is not None:
        publish._known.clear()  # the machines it has made were those of another test


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An empty AWS with the template's table, buckets, key, user pool, bus and schedule group; gives the environment.

    Step Functions runs state machines only where a test turns that on itself. Nothing may scan a table: each read is of
    what was asked for, whatever lies beside it.
    """
    with cloud.account() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        forget_everything()
        monkeypatch.setattr(DynamoHandler, "scan", _no_scan)
        yield environment
    forget_everything()


@pytest.fixture
def owner(aws: dict[str, str]):
    """A tenant that has signed up, as `members.service.SignedUp`."""
    from shared.members import service

    return service.sign_up("First", "owner@first.example", PASSWORD)


@pytest.fixture
def other_owner(aws: dict[str, str]):
    """Another tenant."""
    from shared.members import service

    return service.sign_up("Second", "owner@second.example", PASSWORD)


PASSWORD = "Correct-horse-7"


@pytest.fixture
def tenant(owner):
    """The first tenant, as `shared.tenancy.Tenant`."""
    from shared.tenancy import Tenant

    return Tenant(owner.tenant.id)


@pytest.fixture
def other_tenant(other_owner):
    """The second tenant."""
    from shared.tenancy import Tenant

    return Tenant(other_owner.tenant.id)


@pytest.fixture
def api_client(owner) -> Iterator[httpx.Client]:
    """The first tenant's owner, calling the API with their key; paths are below `/api/v1`."""
    with http_api.connect(owner.key_text) as client:
        yield client


@pytest.fixture
def other_client(other_owner) -> Iterator[httpx.Client]:
    """The second tenant's owner."""
    with http_api.connect(other_owner.key_text) as client:
        yield client


@pytest.fixture
def public_client(aws: dict[str, str]) -> Iterator[httpx.Client]:
    """Somebody without credentials."""
    with http_api.connect() as client:
        yield client


@pytest.fixture
def key_server(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """The user pool's keys over HTTP; `tests.jwks_server.signed` makes tokens that fit them."""
    with serving() as server:
        monkeypatch.setenv("SW_JWKS_URL", server.url)
        forget_everything()
        yield server


@pytest.fixture
def http(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    """A local HTTP service that nodes and deliveries may reach; what it got stands in `seen`."""
    from shared.settings import settings

    with echo_server.serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server
