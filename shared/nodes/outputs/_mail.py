"""Mail over SMTP, to a server whose address was checked."""

from __future__ import annotations

import contextlib
import hashlib
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, BinaryIO, Final

from shared.nodes.base import NodeError
from shared.nodes.outputs._message import Message
from shared.outbound.deadline import Deadline, deadline
from shared.outbound.hosts import AddressRefused, NameNotFound, checked_addresses_blocking

_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9\u00a1-\uffff.-]{1,253}")
_MAX_REPLY: Final = 100_000  # bytes
_SENDER: Final = re.compile(r"(?:[^<>\r\n]*<)?([^<>\s]+)>?")


class _Bounded:
    """A server's replies: smtplib reads the lines of one for as long as there are more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _MAX_REPLY
        self.close = file.close

    def readline(self, most: int) -> bytes:
        """A line. Raises OSError once there are too many."""
        line = self._file.readline(most)
        self.left -= len(line)
        if self.left < 0:
            raise ConnectionAbortedError("the reply has no end")
        return line


class _Pinned(smtplib.SMTP):
    """Connects to the address it was made with; `host`, the name, is what TLS verifies."""

    def __init__(self, address: str, end: Deadline, **more: Any) -> None:
        self._address = address
        self._end = end
        super().__init__(**more)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self._host = host
        plain = socket.create_connection((self._address, port), timeout)
        self._end.watch(plain)
        return plain

    def getreply(self) -> tuple[int, bytes]:
        """A reply, which is bounded."""
        if self.file is None and self.sock is not None:
            self.file: Any = _Bounded(self.sock.makefile("rb"))
        self.file.left = _MAX_REPLY
        return super().getreply()

    def __exit__(self, *_failure: object) -> None:
        # The mail has been taken by then: what the server says to our leaving must not have it sent again.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.quit()
        self.close()


class _PinnedTls(_Pinned):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def mail(message: Message, server: Mapping[str, Any], allowed: frozenset[str], timeout: float) -> None:
    """Send a message to all of `to`, within `timeout` seconds. Blocks. Raises NodeError."""
    with deadline(timeout) as end:
        try:
            _mail(message, server, allowed, timeout, end)
        except NodeError as error:
            if end.passed and error.error == "ConnectionFailed":
                raise NodeError("Timeout", f"{server['host']} did not answer in time") from None
            raise


def _mail(message: Message, server: Mapping[str, Any], allowed: frozenset[str], timeout: float, end: Deadline) -> None:
    host, tls = server["host"], server.get("tls", "starttls")
    port = int(server.get("port", 587))
    made = _made(message, server["from"])
    try:
        addresses = checked_addresses_blocking(host, port, allowed)
        # The name with which we greet is that of the sender: the machine's own means nothing, and takes a look-up.
        domain = str(made["Message-ID"]).rpartition("@")[2].rstrip(">")
        how = {"host": host, "port": port, "timeout": timeout, "local_hostname": domain, "end": end}
        with _connected(addresses, tls, **how) as smtp:
            if server.get("username"):
                smtp.login(server["username"], server.get("password", ""))
            refused = smtp.send_message(made, to_addrs=list(message.to))
    except AddressRefused as error:
        raise NodeError("BlockedAddress", str(error), retryable=False) from None
    except NameNotFound as error:
        raise NodeError("DnsError", str(error)) from None
    except smtplib.SMTPAuthenticationError:
        raise NodeError("AuthenticationFailed", f"{host} does not take the credential", retryable=False) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise _rejected(host, min(code for code, _ in error.recipients.values())) from None
    except smtplib.SMTPResponseException as error:
        raise _rejected(host, error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise NodeError(
            "ConnectionFailed", f"{host} does not offer what the credential asks for", retryable=False
        ) from None
    except TimeoutError:
        raise NodeError("Timeout", f"{host} did not answer in time") from None
    except smtplib.SMTPServerDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise NodeError("Timeout", f"{host} did not answer in time") from None
        raise NodeError("ConnectionFailed", f"{host} has hung up") from None
    except (smtplib.SMTPException, OSError) as error:
        raise NodeError("ConnectionFailed", f"the connection to {host} failed: {type(error).__name__}") from None
    if refused:
        # Not again: those who were not refused have it.
        detail = f"{host} refused {len(refused)} of {len(message.to)} addresses"
        raise NodeError("Rejected", detail, retryable=False)


def _connected(addresses: list[str], tls: str, **how: Any) -> smtplib.SMTP:
    kind = _PinnedTls if tls == "tls" else _Pinned
    for address in addresses[:-1]:
        try:
            return _greeted(kind(address, **how), tls)
        except ConnectionError:
            continue
    return _greeted(kind(addresses[-1], **how), tls)


def _greeted(smtp: smtplib.SMTP, tls: str) -> smtplib.SMTP:
    try:
        smtp.ehlo()
        if tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
    except BaseException:  # the connection is nobody's
        smtp.close()
        raise
    return smtp


def _made(message: Message, sender: str) -> EmailMessage:
    for address in message.to:
        if not _ADDRESS.fullmatch(address):
            raise NodeError("InvalidInput", f"{address[:100]!r} is no e-mail address", retryable=False)
    found = _SENDER.fullmatch(sender.strip())
    if found is None or not _ADDRESS.fullmatch(found[1]):
        raise NodeError("InvalidInput", "the credential's sender is no e-mail address", retryable=False)
    made = EmailMessage()
    try:
        made["Subject"] = message.title or message.text.strip().splitlines()[0][:100]
        made["From"] = sender.strip()
        made["To"] = ", ".join(message.to)
        made["Date"] = formatdate()
        # The same for every attempt, so that the other side can tell a repeat.
        mark = hashlib.sha256(message.key.encode()).hexdigest()[:32]
        made["Message-ID"] = f"<{mark}@{found[1].rpartition('@')[2]}>"
        made.set_content(message.text, subtype={"html": "html", "markdown": "markdown"}.get(message.format, "plain"))
    except (ValueError, MessageError):
        raise NodeError("InvalidInput", "the message cannot be written as a mail", retryable=False) from None
    return made


def _rejected(host: str, code: int) -> NodeError:
    if 400 <= code < 500:
        return NodeError("ServerError", f"{host} cannot take the mail now (SMTP {code})")
    return NodeError("Rejected", f"{host} refused the mail (SMTP {code})", retryable=False)
