"""What is stored of a credential opens for its tenant, name and kind, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from shared.aws import kms
from shared.clock import now_ms
from shared.credentials import sealing
from shared.credentials.kinds import KINDS, faults
from shared.credentials.model import Lease, Sealed
from shared.credentials.store import CredentialStore, CredentialTaken
from shared.errors import NotFound, PreconditionFailed, Unavailable
from shared.store.table import TenantTable
from tests.shared.credentials.keeping import everything_stored, keep

VALUES = {"host": "db.example", "database": "wares", "username": "clerk", "password": "pw-Äß-7391"}


@pytest.fixture(autouse=True)
def no_keys():
    sealing.forget()
    yield
    sealing.forget()


def test_what_goes_in_comes_out_with_defaults(tenant):
    found = keep(tenant, "shop", "postgres", VALUES).open("shop")
    assert (found.name, found.kind) == ("shop", "postgres")
    assert found.values == VALUES | {"port": 5432, "tls": "verify"}
    assert "7391" not in repr(found)


def test_what_is_stored_shows_nothing(tenant):
    keep(tenant, "shop", "postgres", VALUES)
    stored = everything_stored()
    assert "'fields'" in stored
    assert not [v for v in VALUES.values() if v in stored]


def test_another_tenant_has_it_not(tenant, other_tenant):
    keep(tenant, "shop", "postgres", VALUES)
    theirs = CredentialStore(TenantTable(other_tenant))
    with pytest.raises(NotFound):
        theirs.open("shop")
    assert theirs.page(None, 50).items == []
    assert theirs.kind_of("shop") is None


@pytest.mark.parametrize("name", ["", "Shop", "1a", "a-b", "a" * 65, "a\n", "T#x", "é"])
def test_a_name_that_can_be_none_is_not_found(tenant, name):
    with pytest.raises(NotFound):
        CredentialStore(TenantTable(tenant)).open(name)


def _flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def test_a_record_opens_only_in_its_own_place(tenant, other_tenant):
    store = keep(tenant, "shop", "postgres", VALUES)
    keep(tenant, "other", "postgres", VALUES)
    record, other = store.get("shop"), store.get("other")
    for who, moved in [
        (other_tenant, record),
        (tenant, replace(record, name="other")),
        (tenant, replace(record, kind="mysql")),
        (tenant, replace(record, sealed=Sealed(other.sealed.data_key, record.sealed.body))),
        (tenant, replace(record, sealed=Sealed(record.sealed.data_key, other.sealed.body))),
        (tenant, replace(record, sealed=Sealed(record.sealed.data_key, _flipped(record.sealed.body)))),
        (tenant, replace(record, sealed=Sealed(record.sealed.data_key, b""))),
        (tenant, replace(record, sealed=Sealed(b"none", record.sealed.body))),
    ]:
        sealing.forget()
        with pytest.raises(Unavailable) as caught:
            sealing.values_of(who, moved)
        assert caught.value.code == "credential_damaged"
    assert sealing.values_of(tenant, record) == VALUES


def test_a_token_is_no_set_of_values(tenant):
    store = keep(tenant, "crm", "bearer", {"token": "t"})
    record = store.get("crm")
    token = sealing.sealed_token(tenant, record, '{"token": "mine"}', 1)
    with pytest.raises(sealing.Damaged):
        sealing.values_of(tenant, replace(record, sealed=Sealed(record.sealed.data_key, token.body)))
    assert sealing.token_of(tenant, replace(record, token=token)) == '{"token": "mine"}'


def test_the_data_key_is_opened_once_in_a_while(tenant, monkeypatch):
    store, opened = keep(tenant, "shop", "postgres", VALUES), []
    sealing.forget()
    decrypt = kms.decrypt
    monkeypatch.setattr(kms, "decrypt", lambda *a, **k: opened.append(1) or decrypt(*a, **k))
    for _ in range(3):
        store.open("shop")
    assert len(opened) == 1
    clock = sealing.time.monotonic()
    monkeypatch.setattr(sealing.time, "monotonic", lambda: clock + 301)
    store.open("shop")
    assert len(opened) == 2
    assert len(sealing._keys) == 1


def test_open_keys_are_bounded(tenant, monkeypatch):
    monkeypatch.setattr(sealing, "_MAX_KEYS", 3)
    for n in range(7):
        keep(tenant, f"n{n}", "bearer", {"token": "t"})
        assert len(sealing._keys) <= 3


@pytest.mark.parametrize("code", ["ThrottlingException", "KMSInternalException"])
def test_a_busy_key_service_is_told_apart(tenant, monkeypatch, code):
    store = keep(tenant, "shop", "postgres", VALUES)
    sealing.forget()
    status = 500 if code.startswith("KMS") else 400

    def busy(*_args, **_more):
        answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "Decrypt")

    service = kms.tenant_client(tenant, "kms")
    monkeypatch.setattr(service, "decrypt", busy)
    monkeypatch.setattr(service, "generate_data_key", busy)
    with pytest.raises(Unavailable):
        store.open("shop")
    with pytest.raises(Unavailable):
        keep(tenant, "other", "postgres", VALUES)
    assert store.kind_of("other") is None


def test_a_name_is_taken_once(tenant):
    store = keep(tenant, "shop", "postgres", VALUES)
    with pytest.raises(CredentialTaken):
        keep(tenant, "shop", "bearer", {"token": "t"})
    assert store.open("shop").kind == "postgres"


def test_a_rotation_holds_only_over_what_it_has_seen(tenant):
    store = keep(tenant, "crm", "bearer", {"token": "one"})
    before = store.get("crm")
    two, three = (
        replace(before, sealed=sealing.sealed_values(tenant, "crm", "bearer", {"token": t})) for t in ("two", "three")
    )
    store.rotate(before, two)
    with pytest.raises(PreconditionFailed):
        store.rotate(before, three)
    assert store.open("crm").values == {"token": "two"}
    store.remove("crm", None)
    with pytest.raises(NotFound):
        store.rotate(before, three)


def test_a_lease_has_one_holder_until_it_lapses(tenant):
    store = keep(tenant, "crm", "bearer", {"token": "one"})
    record = store.get("crm")
    first = Lease("a", now_ms() + 60_000)
    assert store.lease(record, first)
    assert store.lease(record, Lease("b", now_ms() + 60_000)) is None
    store.release(record, Lease("b", 0))
    assert store.lease(record, Lease("b", now_ms() + 60_000)) is None
    store.release(record, first)
    assert store.lease(record, Lease("b", now_ms() - 1))
    assert store.lease(record, Lease("c", now_ms() + 60_000))


@pytest.mark.parametrize(
    ("kind", "values", "places"),
    [
        ("bearer", {}, ["values"]),
        ("bearer", {"token": ""}, ["values.token"]),
        ("bearer", {"token": 7391}, ["values.token"]),
        ("bearer", {"token": "t", "more": "7391"}, ["values.more"]),
        ("bearer", {"token": "7391" * 3000}, ["values.token"]),
        ("bearer", "7391", ["values"]),
        ("bearer", None, ["values"]),
        ("api_key", {"name": "X", "value": "v", "in": "7391"}, ["values.in"]),
        ("postgres", VALUES | {"port": 73910}, ["values.port"]),
        ("postgres", VALUES | {"port": True}, ["values.port"]),
        ("redis", {"url": "http://7391"}, ["values.url"]),
        ("redis", {"url": {"a": ["7391"]}}, ["values.url"]),
    ],
)
def test_values_that_do_not_fit_are_named_and_not_quoted(kind, values, places):
    found = faults(kind, values)
    assert [p.path for p in found] == places
    assert "7391" not in repr(found)


def test_every_kind_can_be_drawn_as_a_form():
    for kind, schema in KINDS.items():
        assert schema["title"], kind
        for field in schema["properties"].values():
            assert field["title"], kind
            assert field["description"], kind
