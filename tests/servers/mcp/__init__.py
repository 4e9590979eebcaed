"""MCP servers: real ones, our own, and one that answers by a script."""

import sysconfig
from pathlib import Path

TIME_SERVER = str(Path(sysconfig.get_path("scripts")) / "mcp-server-time")
"""The time server's program. Where it is installed is on nobody's path but in an activated environment."""
