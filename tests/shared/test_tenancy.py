import pytest

from shared.errors import Forbidden
from shared.tenancy import (
    ROLES,
    Principal,
    Tenant,
    from_api_key,
    from_directory,
    from_envelope,
    from_record_key,
    new_tenant,
)

ID = "t01JZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize(
    "bad", ["", "t", ID + "\n", ID + "0", ID[:-1], ID.lower(), "x" + ID[1:], "T#" + ID, ID[:-1] + "#"]
)
def test_a_malformed_tenant_is_none(bad):
    with pytest.raises(ValueError, match="malformed"):
        Tenant(bad)


def test_where_a_tenant_may_come_from():
    assert new_tenant() != new_tenant()
    assert from_directory({"tenant_id": ID}) == from_envelope({"tenant": ID}) == Tenant(ID)
    assert from_api_key(f"sw_{ID}_01J_abc") == (Tenant(ID), "key_01J", "abc")
    assert from_record_key(f"T#{ID}#EX#ex_1") == Tenant(ID)
    assert from_record_key("USER#x") is None
    for bad in (
        "",
        "sw",
        f"sw_{ID}_01J",
        f"sw_{ID}_01J_a_b",
        f"xx_{ID}_01J_abc",
        "sw_t1_01J_abc",
        f"sw_{ID}\n_01J_abc",
    ):
        assert from_api_key(bad) is None


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_itself_and_what_is_below(role):
    who = Principal(Tenant(ID), "user", "us_1", role)
    for other in ROLES:
        if ROLES.index(other) <= ROLES.index(role):
            who.require(other, "runs:read")
        else:
            with pytest.raises(Forbidden) as refused:
                who.require(other, "runs:read")
            assert refused.value.code == "role"


def test_scopes_narrow_a_role():
    def allowed(scopes: tuple[str, ...], scope: str) -> bool:
        try:
            Principal(Tenant(ID), "api_key", "key_1", "owner", scopes=scopes).require("viewer", scope)
        except Forbidden:
            return False
        return True

    assert allowed(("runs:read",), "runs:read")
    assert allowed(("runs:*",), "runs:write")
    assert allowed(("*",), "runs:write")
    assert not allowed(("runs:read",), "runs:write")
    assert not allowed(("runs:*",), "tasks:read")
    assert not allowed((), "runs:read")
