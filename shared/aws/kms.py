"""KMS: directly for values of up to 4 KB (task tokens, webhook secrets), by data keys for larger ones (credentials).

The tenant is part of the encryption context, which KMS authenticates: what was encrypted for one tenant cannot be
decrypted in another's name, even by a bug of ours, and the key's policy can demand it. Calls raise Unavailable.
"""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from shared.aws.clients import tenant_client
from shared.aws.reach import reaching
from shared.settings import settings
from shared.tenancy import Tenant

MAX_BYTES: Final = 4096
_WHAT: Final = "the key service"


class Undecryptable(Exception):
    """The ciphertext was not made for this tenant and context, or is damaged."""


def _call(tenant: Tenant, operation: str, context: dict[str, str], **arguments: Any) -> Any:
    bound = {"tenant_id": tenant.id, **context}
    with reaching(_WHAT):
        return getattr(tenant_client(tenant, "kms"), operation)(EncryptionContext=bound, **arguments)


def encrypt(tenant: Tenant, plaintext: bytes, **context: str) -> bytes:
    """Ciphertext of at most 4,096 bytes; `context` (what it is for, an id) must be given again to decrypt it."""
    if len(plaintext) > MAX_BYTES:
        raise ValueError(f"{len(plaintext)} bytes are too many for KMS; it takes {MAX_BYTES}")
    answer = _call(tenant, "encrypt", context, KeyId=settings().kms_key, Plaintext=plaintext)
    return bytes(answer["CiphertextBlob"])


def data_key(tenant: Tenant, **context: str) -> tuple[bytes, bytes]:
    """A new 256-bit key, and the same key encrypted: keep the second, which `decrypt` opens with the same `context`."""
    answer = _call(tenant, "generate_data_key", context, KeyId=settings().kms_key, KeySpec="AES_256")
    return bytes(answer["Plaintext"]), bytes(answer["CiphertextBlob"])


def decrypt(tenant: Tenant, ciphertext: bytes, **context: str) -> bytes:
    """The plaintext. Raises Undecryptable for another tenant's, another context's or a damaged ciphertext."""
    try:
        answer = _call(tenant, "decrypt", context, KeyId=settings().kms_key, CiphertextBlob=ciphertext)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"InvalidCiphertextException", "IncorrectKeyException"}:
            raise Undecryptable("not made for this tenant and context, or damaged") from None
        raise
    return bytes(answer["Plaintext"])
