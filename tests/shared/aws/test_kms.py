import pytest

from shared.aws import kms
from shared.tenancy import new_tenant


def test_only_the_same_tenant_and_context_can_decrypt(aws):
    mine, theirs = new_tenant(), new_tenant()
    sealed = kms.encrypt(mine, b"secret", purpose="token")
    assert b"secret" not in sealed
    assert kms.decrypt(mine, sealed, purpose="token") == b"secret"
    for tenant, context in ((theirs, {"purpose": "token"}), (mine, {"purpose": "other"}), (mine, {})):
        with pytest.raises(kms.Undecryptable):
            kms.decrypt(tenant, sealed, **context)


def test_a_damaged_ciphertext_is_refused(aws):
    tenant = new_tenant()
    sealed = kms.encrypt(tenant, b"secret")
    with pytest.raises(kms.Undecryptable):
        kms.decrypt(tenant, sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_more_than_kms_takes_is_refused(aws):
    kms.encrypt(new_tenant(), b"x" * kms.MAX_BYTES)
    with pytest.raises(ValueError, match="4096"):
        kms.encrypt(new_tenant(), b"x" * (kms.MAX_BYTES + 1))
