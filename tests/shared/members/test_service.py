import threading

import boto3
import pytest

from shared.aws import cognito
from shared.errors import Forbidden, Invalid, NotFound, PreconditionFailed, RateLimited, Unauthorized
from shared.members import access, api_keys, service
from shared.members.store import LastOwner, MemberStore
from shared.store.keys import user_directory
from shared.store.table import Directory, TenantTable
from shared.tenancy import Principal, Tenant
from tests.conftest import PASSWORD


def _rows(aws) -> list[str]:
    items = boto3.client("dynamodb").scan(TableName=aws["SW_TABLE"])["Items"]
    return sorted(i["PK"]["S"] for i in items)


def _pool(aws) -> int:
    return len(boto3.client("cognito-idp").list_users(UserPoolId=aws["SW_USER_POOL_ID"])["Users"])


def who(signed_up, role="owner", scopes=None) -> Principal:
    return Principal(Tenant(signed_up.tenant.id), "user", signed_up.user.id, role, signed_up.user.id, scopes=scopes)


# ---- signing up ---------------------------------------------------------------------------------------------------


def test_signing_up_makes_a_tenant_an_owner_and_a_key_that_works(aws, owner):
    caller = access.by_api_key(owner.key_text)
    assert (caller.tenant.id, caller.role, caller.kind, caller.scopes) == (owner.tenant.id, "owner", "api_key", None)
    assert service.tenant(caller).name == "First"
    assert service.log_in("owner@first.example", PASSWORD, None).expires_in > 0


@pytest.mark.parametrize(("broken", "method"), [(cognito, "set_password"), (MemberStore, "found"), (Directory, "put")])
@pytest.mark.parametrize("before", [True, False], ids=["before the step", "after it"])
def test_a_sign_up_that_fails_leaves_nothing(aws, monkeypatch, broken, method, before):
    real = getattr(broken, method)

    def failing(*arguments, **named):
        if not before:
            real(*arguments, **named)
        raise RateLimited("the service is busy", retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(broken, method, failing)
        with pytest.raises(RateLimited):
            service.sign_up("Acme", "a@acme.example", PASSWORD)
    assert _rows(aws) == []
    assert _pool(aws) == 0
    service.sign_up("Acme", "a@acme.example", PASSWORD)


def test_a_taken_address_is_refused_and_its_owner_is_unharmed(aws, owner):
    rows = _rows(aws)
    with pytest.raises(cognito.EmailTaken):
        service.sign_up("Other", "owner@first.example", PASSWORD)
    assert _rows(aws) == rows
    assert service.log_in("owner@first.example", PASSWORD, None)


def test_a_weak_password_is_refused_naming_the_field(aws):
    with pytest.raises(cognito.WeakPassword) as weak:
        service.sign_up("Acme", "a@acme.example", "onlylowercase")
    assert [e.path for e in weak.value.errors] == ["owner.password"]
    assert _pool(aws) == 0


def test_an_address_left_over_from_a_call_that_died_is_free_again_in_time(aws, monkeypatch):
    cognito.create_user("a@acme.example", cognito.temporary_password())  # and then the process ended
    with pytest.raises(cognito.EmailTaken):
        service.sign_up("Acme", "a@acme.example", PASSWORD)
    monkeypatch.setattr(service, "_ORPHAN_MS", -1)
    assert service.sign_up("Acme", "a@acme.example", PASSWORD)
    with pytest.raises(cognito.EmailTaken):
        service.sign_up("Acme", "a@acme.example", PASSWORD)


# ---- tenants ------------------------------------------------------------------------------------------------------


def test_a_stale_rename_is_refused(owner):
    assert service.change_tenant(who(owner), {"name": "New"}, 1).version == 2
    with pytest.raises(PreconditionFailed):
        service.change_tenant(who(owner), {"name": "Newer"}, 1)
    assert service.tenant(who(owner)).name == "New"
    assert service.change_tenant(who(owner), {"name": "Newest"}, None).name == "Newest"


# ---- users --------------------------------------------------------------------------------------------------------


def test_an_invited_user_comes_in_with_the_temporary_password_and_a_new_one(owner):
    member, temporary = service.invite(who(owner), "b@first.example", "editor", ())
    with pytest.raises(cognito.PasswordChangeRequired):
        service.log_in("b@first.example", temporary, None)
    assert service.log_in("b@first.example", temporary, "Another-horse-8").refresh_token
    with pytest.raises(cognito.BadCredentials):
        service.log_in("b@first.example", temporary, None)
    assert service.user(who(owner), member.id).role == "editor"


def test_an_invitation_that_fails_leaves_nothing(aws, owner, monkeypatch):
    rows = _rows(aws)

    def failing(*_):
        raise RateLimited("busy", retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(MemberStore, "add_member", failing)
        with pytest.raises(RateLimited):
            service.invite(who(owner), "b@first.example", "editor", ())
    assert (_rows(aws), _pool(aws)) == (rows, 1)


def test_nobody_gives_a_role_above_their_own(owner):
    with pytest.raises(Forbidden):
        service.invite(who(owner, "admin"), "b@first.example", "owner", ())
    member, _ = service.invite(who(owner, "admin"), "b@first.example", "admin", ())
    with pytest.raises(Forbidden):
        service.change_user(who(owner, "admin"), member.id, "owner", None, None)
    with pytest.raises(Forbidden):
        service.change_user(who(owner, "admin"), owner.user.id, "viewer", None, None)
    with pytest.raises(Forbidden):
        service.remove_user(who(owner, "admin"), owner.user.id, None)
    assert service.change_user(who(owner), member.id, "owner", None, 1).version == 2


def test_the_last_owner_stays(owner):
    with pytest.raises(LastOwner):
        service.remove_user(who(owner), owner.user.id, None)
    with pytest.raises(LastOwner):
        service.change_user(who(owner), owner.user.id, "admin", None, None)
    second, _ = service.invite(who(owner), "b@first.example", "owner", ())
    service.change_user(who(owner), owner.user.id, "admin", None, None)
    with pytest.raises(LastOwner):
        service.remove_user(who(owner), second.id, None)
    service.change_user(who(owner), owner.user.id, "owner", None, None)
    service.remove_user(who(owner), second.id, None)


def test_two_owners_who_remove_each_other_at_once_leave_one(owner):
    second, _ = service.invite(who(owner), "b@first.example", "owner", ())
    store = MemberStore(TenantTable(Tenant(owner.tenant.id)))
    read = threading.Barrier(2)
    results = []

    def remove(member) -> None:
        read.wait(10)
        try:
            store.remove_member(member)
            results.append("removed")
        except LastOwner:
            results.append("kept")

    threads = [threading.Thread(target=remove, args=(m,)) for m in (owner.user, second)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(10)
    assert sorted(results) == ["kept", "removed"]
    assert len(store.members(None, 10).items) == 1


def test_a_user_who_was_changed_meanwhile_is_not_changed_over(owner):
    member, _ = service.invite(who(owner), "b@first.example", "editor", ())
    service.change_user(who(owner), member.id, "viewer", None, 1)
    with pytest.raises(PreconditionFailed):
        service.change_user(who(owner), member.id, "admin", None, 1)
    with pytest.raises(PreconditionFailed):
        service.remove_user(who(owner), member.id, 1)
    with pytest.raises(PreconditionFailed):
        MemberStore(TenantTable(Tenant(owner.tenant.id))).change_member(member, {"role": "admin"})


def test_a_removed_user_is_gone_and_their_address_is_free(aws, owner):
    member, temporary = service.invite(who(owner), "b@first.example", "editor", ())
    _, text = api_keys.create(
        Principal(Tenant(owner.tenant.id), "user", member.id, "editor", member.id), "k", "viewer", None, None
    )
    assert access.by_api_key(text)
    service.remove_user(who(owner), member.id, None)
    with pytest.raises(Unauthorized):
        access.by_api_key(text)
    with pytest.raises(cognito.BadCredentials):
        service.log_in("b@first.example", temporary, None)
    assert Directory().get(user_directory(member.subject)) is None
    assert _pool(aws) == 1
    service.invite(who(owner), "b@first.example", "editor", ())


def test_a_demotion_ends_the_keys_that_reach_further(owner):
    member, _ = service.invite(who(owner), "b@first.example", "admin", ())
    caller = Principal(Tenant(owner.tenant.id), "user", member.id, "admin", member.id)
    _, high = api_keys.create(caller, "high", "admin", None, None)
    _, low = api_keys.create(caller, "low", "viewer", None, None)
    made_by_key = api_keys.create(access.by_api_key(high), "made by a key", "editor", None, None)[1]
    service.change_user(who(owner), member.id, "viewer", None, None)
    assert access.by_api_key(low)
    for ended in (high, made_by_key):
        with pytest.raises(Unauthorized):
            access.by_api_key(ended)


def test_unknown_user_types_are_named(owner, other_owner):
    good = service.create_user_type(who(owner), "Customer", "")
    foreign = service.create_user_type(who(other_owner), "Customer", "")
    with pytest.raises(Invalid) as unknown:
        service.invite(who(owner), "b@first.example", "viewer", (good.id, foreign.id))
    assert [e.path for e in unknown.value.errors] == ["user_types.1"]
    member, _ = service.invite(who(owner), "b@first.example", "viewer", (good.id,))
    assert service.change_user(who(owner), member.id, None, (), None).user_types == ()


# ---- two tenants --------------------------------------------------------------------------------------------------


def test_no_method_of_the_store_reaches_another_tenant(owner, other_owner):
    mine = MemberStore(TenantTable(Tenant(owner.tenant.id)))
    theirs = other_owner
    their_type = service.create_user_type(who(theirs), "Customer", "")
    their_key = api_keys.listing(who(theirs), None, 10).items[0]
    reach = {
        "member": lambda: mine.member(theirs.user.id),
        "user_type": lambda: mine.user_type(their_type.id),
        "change_user_type": lambda: mine.change_user_type(their_type.id, {"name": "x"}, None),
        "remove_user_type": lambda: mine.remove_user_type(their_type.id, None),
        "api_key": lambda: mine.api_key(their_key.id),
        "remove_api_key": lambda: mine.remove_api_key(their_key.id),
    }
    for name, call in reach.items():
        with pytest.raises(NotFound):
            call()
        assert name
    with pytest.raises(PreconditionFailed):
        mine.change_member(theirs.user, {"role": "viewer"})
    with pytest.raises(PreconditionFailed):
        mine.remove_member(theirs.user)
    mine.touch_api_key(their_key.id, 1)
    assert mine.tenant().id == owner.tenant.id
    assert [m.id for m in mine.members(None, 50).items] == [owner.user.id]
    assert mine.user_types(None, 50).items == []
    assert their_key not in mine.api_keys(None, 50).items
    assert mine.api_keys_of(theirs.user.id) == []
    there = MemberStore(TenantTable(Tenant(theirs.tenant.id)))
    assert there.member(theirs.user.id) == theirs.user
    assert there.api_key(their_key.id) == their_key
    assert there.user_type(their_type.id) == their_type
