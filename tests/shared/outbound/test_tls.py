"""TLS to a pinned address: the name is what is sent, and what the certificate must be for."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.outbound import transport


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a self-signed certificate for `named.test`, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "named.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("named.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def ask(host: str, certificate: Path) -> tuple[str, list[str | None]]:
    """What a TLS server on loopback says to `https://host`, and the names it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        pinned = await transport.shared_transport(frozenset({f"{host}:{port}"}))
        client = httpx.AsyncClient(transport=pinned, trust_env=False)
        return (await client.get(f"https://{host}:{port}/")).text, names
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(_host: str, port: int, *_args: Any, **_more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", fake)


@pytest.mark.usefixtures("resolver")
def test_the_name_is_sent_and_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(transport, "_tls", lambda: trusting)
    assert asyncio.run(ask("named.test", certificate)) == ("hi", ["named.test"])
    with pytest.raises(httpx.ConnectError, match="certificate"):
        asyncio.run(ask("other.test", certificate))


@pytest.mark.usefixtures("resolver")
def test_an_unknown_certificate_is_refused(certificate: Path) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate"):
        asyncio.run(ask("named.test", certificate))
