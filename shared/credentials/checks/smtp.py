"""Signs in at a mail server and leaves again; no mail is sent."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import SECONDS, CheckFailed
from shared.outbound.hosts import AddressRefused, NameNotFound, checked_addresses


class _Client(smtplib.SMTP):
    """Connects to a checked address; TLS verifies the host's name."""

    def __init__(self, address: str, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._address, self._tls = address, tls
        super().__init__(host, port, timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = socket.create_connection((self._address, port), timeout)
        return self._tls.wrap_socket(made, server_hostname=host) if self._tls else made


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Connects, encrypts as the credential says, signs in. Raises CheckFailed."""
    host, port = str(values["host"]), int(values["port"])
    try:
        address = (await checked_addresses(host, port, allowed_hosts, SECONDS))[0]
    except (AddressRefused, NameNotFound) as error:
        raise CheckFailed(str(error)) from None
    await asyncio.to_thread(_sign_in, address, host, port, values)


def _sign_in(address: str, host: str, port: int, values: Mapping[str, Any]) -> None:
    verified = ssl.create_default_context()
    try:
        with _Client(address, host, port, verified if values["tls"] == "tls" else None) as client:
            if values["tls"] == "starttls":
                client.starttls(context=verified)
            if values.get("username"):
                client.login(str(values["username"]), str(values.get("password") or ""))
            elif client.noop()[0] != 250:
                raise CheckFailed(f"{host} does not serve us")
    except smtplib.SMTPAuthenticationError as error:
        raise CheckFailed(f"{host} refuses this user name and password ({error.smtp_code})") from None
    except smtplib.SMTPNotSupportedError:
        raise CheckFailed(f"{host} has no STARTTLS, or lets nobody sign in over this connection") from None
    except smtplib.SMTPException as error:
        raise CheckFailed(f"{host} does not speak SMTP as it should ({type(error).__name__})") from None
    except ssl.SSLCertVerificationError as error:
        raise CheckFailed(f"the certificate of {host} is not good: {error.verify_message}") from None
    except TimeoutError:
        raise CheckFailed(f"{host}:{port} did not answer in time") from None
    except OSError as error:
        raise CheckFailed(f"the connection to {host}:{port} failed ({type(error).__name__})") from None
