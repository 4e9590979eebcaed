"""Installs the servers that tests need, where that may be done: `python -m tests.servers` (as root on Debian).

Elsewhere it says what is missing; the tests that need it then fail and say so, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"]
_PROGRAMS = {"initdb": "postgresql", "mariadbd": "mariadb-server", "redis-server": "redis-server"}


def missing() -> list[str]:
    """The Debian packages of which the program is not there."""
    binaries = [str(p) for p in Path("/usr/lib/postgresql").glob("*/bin")]
    path = os.pathsep.join([*binaries, os.environ.get("PATH", ""), *_FOLDERS])
    return [package for name, package in _PROGRAMS.items() if shutil.which(name, path=path) is None]


def main() -> int:
    """Install what is missing, or say so."""
    wanted = missing()
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
        if subprocess.run(install, env=quiet, check=False, stdout=subprocess.DEVNULL).returncode != 0:
            subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
            subprocess.run(install, env=quiet, check=False, stdout=subprocess.DEVNULL)
        wanted = missing()
    if wanted:
        print(f"Tests of databases will fail: install {', '.join(wanted)} (Debian's names).", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
