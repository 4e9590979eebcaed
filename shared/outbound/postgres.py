"""A connection to a tenant's PostgreSQL. Loads psycopg, so import it when needed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import certifi
import psycopg
from psycopg import AsyncConnection

from shared.outbound.connections import CONNECT_SECONDS, NotConnected, Way, addresses, tls_context

_TLS: Final = {"require": "require", "verify": "verify-full", "off": "disable"}


async def _open(values: Mapping[str, Any], allowed: frozenset[str]) -> AsyncConnection[Any]:
    host, port = str(values["host"]), int(values.get("port", 5432))
    found = await addresses(host, port, allowed)
    mode = str(values.get("tls", "verify"))
    try:
        return await AsyncConnection.connect(
            # One name for each address: the name is for TLS, the address is where the connection goes.
            host=",".join([host.strip("[]")] * len(found)),
            hostaddr=",".join(found),
            port=port,
            dbname=str(values["database"]),
            user=str(values["username"]),
            password=str(values["password"]),
            sslmode=_TLS[mode],
            sslrootcert=_roots(values.get("ca")) if mode == "verify" else "",
            sslcert="",
            sslkey="",
            gssencmode="disable",
            connect_timeout=int(CONNECT_SECONDS),
            application_name="statewright",
            autocommit=True,
            prepare_threshold=None,  # a pooler may give each transaction another server
        )
    except psycopg.errors.ConnectionTimeout:
        raise NotConnected("Timeout", f"{host} did not take the connection in time") from None
    except psycopg.Error as error:
        raise _refused(host, error) from None
    except UnicodeEncodeError:
        raise NotConnected("InvalidInput", "the credential has text that cannot be sent") from None


def _refused(host: str, error: psycopg.Error) -> NotConnected:
    # libpq's words quote names and addresses of ours; what they are about is all that is told.
    said = str(error).lower()
    if "authentication failed" in said or "no password supplied" in said or "pg_hba.conf" in said:
        return NotConnected("AuthenticationFailed", f"{host} refuses this user name and password")
    if "does not exist" in said:
        return NotConnected("AuthenticationFailed", f"{host} has no such database or user")
    if "certificate" in said or "ssl" in said:
        return NotConnected("ConnectionFailed", f"no TLS connection to {host} as the credential wants it")
    return NotConnected("ConnectionFailed", f"{host} cannot be reached")


def _roots(ca: str | None) -> str:
    if not ca:
        return certifi.where()
    tls_context("verify", ca)  # says so if it is no PEM
    path = Path(tempfile.gettempdir()) / f"ca-{hashlib.sha256(ca.encode()).hexdigest()}.pem"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(ca + "\n" + Path(certifi.where()).read_text(encoding="utf-8"))
        os.replace(file.name, path)
    return str(path)


async def _close(connection: AsyncConnection[Any]) -> None:
    await connection.close()


async def _alive(connection: AsyncConnection[Any]) -> bool:
    await connection.execute("SELECT 1")
    return True


async def _settle(connection: AsyncConnection[Any]) -> None:
    await connection.execute("DISCARD ALL")


POSTGRES: Final[Way[AsyncConnection[Any]]] = Way(_open, _close, _alive, _settle)
