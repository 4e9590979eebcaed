"""Mails that the product writes itself, over a tenant's own mail server."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import AppError, Invalid, NotFound, Unavailable
from shared.nodes.base import NodeError
from shared.settings import settings
from shared.store.table import TenantTable

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_TITLE: Final = 200
_TIMEOUT_S: Final = 8.0


def post(table: TenantTable, credential: str, to: str, title: str, text: str, *, key: str) -> None:
    """Send a mail to one address. Mails of the same `key` have the same Message-ID. Blocks.

    Raises Invalid (the credential or the address is no good, the server refuses it), Unavailable (worth another try).
    """
    # Few calls write mails; these libraries take a while to load.
    from shared.credentials.store import CredentialStore
    from shared.nodes.outputs._mail import mail
    from shared.nodes.outputs._message import Message

    try:
        opened = CredentialStore(table).open(credential)
    except NotFound:
        raise Invalid(f"there is no credential {credential}", code="unknown_credential") from None
    if opened.kind != "smtp":
        raise Invalid(f"the credential {credential} is not of the kind smtp", code="wrong_credential")
    line = _CONTROL.sub(" ", title).strip()[:_TITLE]
    message = Message(line, text, "text", (to,), key)
    try:
        mail(message, opened.values, settings().private_hosts, _TIMEOUT_S)
    except NodeError as error:
        raise _refused(error) from None


def _refused(error: NodeError) -> AppError:
    """What a failure means: `code` is its name, and nothing of the mail is in it."""
    kind = Unavailable if error.retryable else Invalid
    return kind(f"the mail could not be sent: {error.error}", code=f"mail_{error.error.lower()}")
