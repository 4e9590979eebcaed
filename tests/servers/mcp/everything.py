"""The reference server of the MCP project (from npm, pinned by a lock file), over any of its transports."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def installed() -> Path:
    """The server's program, installed once for each lock file."""
    mark = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / ".local" / "mcp-servers" / mark
    if not folder.exists():
        scratch = folder.with_name(f"{mark}.{os.getpid()}")
        scratch.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, scratch / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=scratch, check=True, timeout=120)
        try:
            scratch.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(scratch)
    return folder / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"


@contextmanager
def serving(transport: str) -> Iterator[int]:
    """The server's port; `transport` is `streamableHttp` or `sse`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = subprocess.Popen(
        ["node", str(installed()), transport],
        env={"PATH": os.environ["PATH"], "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_it_listens(server, port)
        yield port
    finally:
        server.kill()
        server.wait(10)


def _until_it_listens(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not listen"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
