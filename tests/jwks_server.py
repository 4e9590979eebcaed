"""A user pool's keys over real HTTP, and tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from infrastructure.local import cloud


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """An RSA key, made once a process for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class KeyServer:
    """Serves the public halves of the named keys; `requests` counts how often it was asked."""

    url: str
    names: list[str] = field(default_factory=lambda: ["first"])
    requests: int = 0
    status: int = 200

    def document(self) -> dict[str, Any]:
        """The JWKS."""
        keys = [json.loads(RSAAlgorithm.to_jwk(private_key(n).public_key())) for n in self.names]
        return {"keys": [{**k, "kid": n, "alg": "RS256", "use": "sig"} for k, n in zip(keys, self.names, strict=True)]}


@contextmanager
def serving() -> Iterator[KeyServer]:
    """A key server on a free port of the loopback interface."""
    served: KeyServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests += 1
            body = json.dumps(served.document()).encode()
            self.send_response(served.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = KeyServer(f"http://127.0.0.1:{server.server_port}/jwks.json")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def claims_of(environment: dict[str, str], subject: str, token_use: str = "access") -> dict[str, Any]:
    """The claims of a good token of the pool."""
    pool, client = environment["SW_USER_POOL_ID"], environment["SW_USER_POOL_CLIENT_ID"]
    now = int(time.time())
    return {
        "iss": f"https://cognito-idp.{cloud.REGION}.amazonaws.com/{pool}",
        "sub": subject,
        "client_id" if token_use == "access" else "aud": client,
        "token_use": token_use,
        "iat": now,
        "exp": now + 600,
    }


def signed(claims: dict[str, Any], key: str = "first", key_id: str | None = None) -> str:
    """A token signed with the named key."""
    return jwt.encode(claims, private_key(key), "RS256", headers={"kid": key_id or key})
