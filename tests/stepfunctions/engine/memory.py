"""S3 and KMS in plain memory, for tests that make a hundred thousand calls: moto takes milliseconds for each, and this
microseconds. The table is the product's (`shared.aws.memory`), which `test_memory.py` holds against moto.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from shared.aws.memory import refused


class Objects:
    """S3."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], bytes] = {}

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's answer. Raises ClientError."""
        where = arguments["Bucket"], arguments["Key"]
        if operation == "PutObject":
            self._held[where] = bytes(arguments["Body"])
            return {}
        assert operation == "GetObject", operation
        if where not in self._held:
            raise refused("NoSuchKey", operation)
        return {"Body": io.BytesIO(self._held[where])}


class Keys:
    """KMS: what was encrypted in one context is decrypted in no other."""

    def __init__(self) -> None:
        self._held: list[tuple[bytes, Mapping[str, str]]] = []

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's answer. Raises ClientError."""
        if operation == "Encrypt":
            self._held.append((arguments["Plaintext"], arguments["EncryptionContext"]))
            return {"CiphertextBlob": b"sealed:%d" % (len(self._held) - 1)}
        assert operation == "Decrypt", operation
        plain, context = self._held[int(arguments["CiphertextBlob"].split(b":")[1])]
        if context != arguments["EncryptionContext"]:
            raise refused("InvalidCiphertextException", operation)
        return {"Plaintext": plain}
