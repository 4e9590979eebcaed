"""PostgreSQL, MariaDB and Redis as the Debian packages have them, each with data of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.certificates import Certified, certified
from tests.servers.process import as_user, folder, free_port, listening, program, running

USER = "app"
PASSWORD = "pass-word'7"
DATABASE = "shop"


@dataclass(frozen=True)
class Database:
    """Where a server listens and how to sign in, as a credential's values; TLS is off unless asked for."""

    port: int
    pid: int
    ca: str
    values: dict[str, Any] = field(default_factory=dict)
    tls_port: int = 0  # where TLS has a port of its own

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset({self.host, *(f"{host}:{self.tls_port or self.port}" for host in ("localhost", "127.0.0.1"))})


@contextmanager
def postgres() -> Iterator[Database]:
    """PostgreSQL with a user and a database that is theirs."""
    binaries = sorted(str(p) for p in Path("/usr/lib/postgresql").glob("*/bin"))[::-1]
    initdb = program("initdb", "postgresql", folders=binaries)
    server = program("postgres", "postgresql", folders=binaries)
    tls = certified()
    with folder("postgres") as home:
        _key_files(home, tls, "postgres")
        before = as_user("postgres")
        data = home / "data"
        _do(
            [*before, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        )
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(home),
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": str(home / "server.pem"),
            "ssl_key_file": str(home / "server.key"),
        }
        command = [*before, server, "-D", str(data), "-p", str(port)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        psql = [
            *before,
            program("psql", "postgresql", folders=binaries),
            "-h",
            str(home),
            "-p",
            str(port),
            "-U",
            "postgres",
        ]

        def ready() -> bool:
            return subprocess.run([*psql, "-c", "SELECT 1"], capture_output=True, check=False, cwd="/").returncode == 0

        with running(command, ready, home / "log", stop=signal.SIGINT) as pid:
            quoted = PASSWORD.replace("'", "''")
            _do(
                [
                    *psql,
                    "-c",
                    f"CREATE USER {USER} PASSWORD '{quoted}'",
                    "-c",
                    f"CREATE DATABASE {DATABASE} OWNER {USER}",
                ]
            )
            yield Database(port, pid, tls.ca, _values(port))


@contextmanager
def mariadb() -> Iterator[Database]:
    """MariaDB with a user and a database that is theirs."""
    install = program("mariadb-install-db", "mariadb-server")
    server = program("mariadbd", "mariadb-server")
    client = program("mariadb", "mariadb-server")
    tls = certified()
    with folder("mysql") as home:
        _key_files(home, tls, "mysql")
        before = as_user("mysql")
        data = home / "data"
        _do(
            [
                *before,
                install,
                "--no-defaults",
                f"--datadir={data}",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ]
        )
        port = free_port()
        sock = home / "s"
        command = [*before, server, "--no-defaults", f"--datadir={data}", f"--socket={sock}", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", f"--pid-file={home / 'pid'}", "--innodb-flush-log-at-trx-commit=0"]
        command += ["--skip-name-resolve", f"--ssl-cert={home / 'server.pem'}", f"--ssl-key={home / 'server.key'}"]
        sql = [client, "--no-defaults", f"--socket={sock}", "-u", "root"]

        def ready() -> bool:
            return subprocess.run([*sql, "-e", "SELECT 1"], capture_output=True, check=False).returncode == 0

        with running(command, ready, home / "log") as pid:
            quoted = PASSWORD.replace("'", "''")
            made = (
                f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; CREATE USER {USER}@'%' IDENTIFIED BY '{quoted}'; "
            )
            _do([*sql, "-e", f"{made} GRANT ALL ON {DATABASE}.* TO {USER}@'%'"])
            yield Database(port, pid, tls.ca, _values(port))


@contextmanager
def redis() -> Iterator[Database]:
    """Redis with a password, on a port in the clear and one with TLS."""
    server = program("redis-server", "redis-server")
    tls = certified()
    with folder("root") as home:
        _key_files(home, tls, "root")
        port, tls_port = free_port(), free_port()
        command = [
            server,
            "--tls-port",
            str(tls_port),
            "--tls-auth-clients",
            "no",
            "--tls-ca-cert-dir",
            "/etc/ssl/certs",
        ]
        command += ["--tls-cert-file", str(home / "server.pem"), "--tls-key-file", str(home / "server.key")]
        command += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", ""]
        with running([*command, "--requirepass", "redis-word"], lambda: listening(port), home / "log") as pid:
            yield Database(port, pid, tls.ca, {"url": f"redis://:redis-word@127.0.0.1:{port}/0"}, tls_port)


def _values(port: int) -> dict[str, Any]:
    named = {"database": DATABASE, "username": USER, "password": PASSWORD}
    return {"host": "127.0.0.1", "port": port, "tls": "off", **named}


def _key_files(home: Path, tls: Certified, user: str) -> None:
    for name, text in (("server.pem", tls.certificate), ("server.key", tls.key)):
        path = home / name
        path.write_text(text)
        path.chmod(0o600)
        if as_user(user):
            shutil.chown(path, user)


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{command[:8]}: {done.stdout[-1000:]} {done.stderr[-1000:]}"
