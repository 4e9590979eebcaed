"""A real SMTP server on loopback, by aiosmtpd: keeps what it is sent, knows one user, refuses what it is told to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "mailer", "hunter22-not-shown"


class SmtpServer:
    """`mails` are (recipients, message); an address that begins with `gone` is refused, `busy` for now."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.sessions: list[Session] = []
        self.farewell = "221 Bye"
        self.port = 0

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """A recipient."""
        if address.startswith("gone"):
            return "550 no such user"
        if address.startswith("busy"):
            return "450 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:
        """A mail."""
        body = envelope.original_content or b""
        made = message_from_bytes(body, _class=EmailMessage, policy=policy.default)
        self.mails.append((list(envelope.rcpt_tos), made))
        self.sessions.append(session)
        return "250 OK"

    async def handle_QUIT(self, _server: Any, _session: Session, _envelope: Envelope) -> str:
        """The end."""
        return self.farewell


def _known(_server: Any, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)  # it says so itself


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None, *, at_once: bool = False) -> Iterator[SmtpServer]:
    """A server, with STARTTLS if it has a certificate (file, key), or TLS from the start (`at_once`)."""
    server = SmtpServer()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, certificate))
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=_free_port(),
        ssl_context=context if at_once else None,
        authenticator=_known,
        auth_require_tls=False,
        **({"tls_context": context} if context is not None and not at_once else {}),
    )
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
