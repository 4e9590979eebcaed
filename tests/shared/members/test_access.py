import dataclasses
import time

import pytest

from shared.errors import Forbidden, Invalid, NotFound, Unauthorized
from shared.members import access, api_keys, service
from shared.members.store import MemberStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant, from_api_key
from tests.jwks_server import claims_of, signed


@pytest.fixture
def who(owner) -> Principal:
    return Principal(Tenant(owner.tenant.id), "user", owner.user.id, "owner", owner.user.id)


def _swap(text: str, part: int, value: str) -> str:
    parts = text.split("_")
    parts[part] = value
    return "_".join(parts)


def test_a_key_is_long_and_stored_hashed(who):
    key, text = api_keys.create(who, "k", "viewer", None, None)
    tenant, key_id, secret = from_api_key(text)
    assert (tenant, key_id) == (who.tenant, key.id)
    assert len(bytes.fromhex(secret)) * 8 >= 160
    table = TenantTable(who.tenant)
    assert secret not in str(list(table.query_all(table.keys.api_keys())))
    assert secret not in repr(key)
    assert key.secret_hash not in repr(key)


def test_bad_keys_are_refused_alike(owner, other_owner):
    good, other = owner.key_text, other_owner.key_text
    bad = [
        "",
        "x",
        good[:-1],
        good + "0",
        good.upper(),
        _swap(good, 0, "xx"),
        _swap(good, 1, other.split("_")[1]),
        _swap(good, 1, "t*"),
        _swap(good, 2, other.split("_")[2]),
        _swap(good, 3, other.split("_")[3]),
        _swap(good, 3, ""),
        good + "_x",
        good + "\x00",
        "sw_" + "t" + "0" * 26 + "_x_y",
        f"sw_{owner.tenant.id}_{'x' * 3000}_y",
        f"sw_{owner.tenant.id}__y",
        f"sw_{owner.tenant.id}_\ud800_y",
        f"sw_{owner.tenant.id}\n_a_y",
    ]
    access.by_api_key(good)
    said = set()
    for text in bad:
        with pytest.raises(Unauthorized) as refused:
            access.by_api_key(text)
        said.add((refused.value.code, refused.value.detail))
    assert said == {("unknown_key", "unknown API key")}


def test_an_expired_key_is_refused_even_when_it_was_just_seen(who, monkeypatch):
    soon = access.now_ms() + 60_000
    _, text = api_keys.create(who, "k", "viewer", None, soon)
    assert access.by_api_key(text)
    monkeypatch.setattr(access, "now_ms", lambda: soon)
    with pytest.raises(Unauthorized) as expired:
        access.by_api_key(text)
    assert expired.value.code == "key_expired"


def test_a_key_revoked_by_another_process_ends_within_ten_seconds(who, monkeypatch):
    key, text = api_keys.create(who, "k", "viewer", None, None)
    access.by_api_key(text)
    MemberStore(TenantTable(who.tenant)).remove_api_key(key.id)
    now = time.monotonic()
    monkeypatch.setattr(access.time, "monotonic", lambda: now + 10)
    with pytest.raises(Unauthorized):
        access.by_api_key(text)


def test_last_use_is_noted_at_most_once_an_hour_and_revives_no_key(who, monkeypatch):
    key, text = api_keys.create(who, "k", "viewer", None, None)
    access.by_api_key(text)
    first = api_keys.get(who, key.id).last_used_at
    start = access.now_ms()
    for minutes, expected in ((30, first), (61, start + 61 * 60_000)):
        access.forget()
        monkeypatch.setattr(access, "now_ms", lambda m=minutes: start + m * 60_000)
        access.by_api_key(text)
        assert api_keys.get(who, key.id).last_used_at == expected
    api_keys.revoke(who, key.id)
    MemberStore(TenantTable(who.tenant)).touch_api_key(key.id, 1)
    with pytest.raises(NotFound):
        api_keys.get(who, key.id)


def test_a_key_reaches_no_further_than_its_maker(who):
    admin = dataclasses.replace(who, role="admin")
    with pytest.raises(Forbidden):
        api_keys.create(admin, "k", "owner", None, None)
    narrow = dataclasses.replace(who, scopes=("runs:*", "users:read"))
    for scopes in (None, ("*",), ("users:write",), ("runs:read", "tasks:read"), ("users:*",)):
        with pytest.raises(Forbidden):
            api_keys.create(narrow, "k", "viewer", scopes, None)
    key, _ = api_keys.create(narrow, "k", "viewer", ("runs:read", "runs:*", "users:read"), None)
    assert key.scopes == ("runs:read", "runs:*", "users:read")
    owners, _ = api_keys.create(who, "k", "owner", None, None)
    with pytest.raises(Forbidden):
        api_keys.revoke(admin, owners.id)
    with pytest.raises(Invalid):
        api_keys.create(who, "k", "viewer", None, access.now_ms() - 1)


def test_what_is_remembered_is_bounded(who, monkeypatch):
    monkeypatch.setattr(access, "_MAX_CACHED", 3)
    for n in range(10):
        access.by_api_key(api_keys.create(who, str(n), "viewer", None, None)[1])
        assert len(access._seen) <= 3


def test_a_token_leads_to_the_member_as_they_are_now(aws, owner, who, key_server):
    member, _ = service.invite(who, "b@first.example", "editor", ())
    token = signed(claims_of(aws, member.subject))
    caller = access.by_token(token)
    assert (caller.tenant, caller.kind, caller.user_id, caller.role) == (who.tenant, "user", member.id, "editor")
    service.change_user(who, member.id, "viewer", None, None)
    assert access.by_token(token).role == "viewer"
    service.remove_user(who, member.id, None)
    with pytest.raises(Unauthorized):
        access.by_token(token)


def test_a_member_whose_directory_entry_outlived_them_is_out(aws, owner, who, key_server):
    member, _ = service.invite(who, "b@first.example", "editor", ())
    MemberStore(TenantTable(who.tenant)).remove_member(member)
    with pytest.raises(Unauthorized):
        access.by_token(signed(claims_of(aws, member.subject)))
    with pytest.raises(Unauthorized):
        access.by_token(signed(claims_of(aws, "somebody unknown")))
