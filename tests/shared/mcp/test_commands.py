from __future__ import annotations

import pytest

from shared.mcp.commands import commands


def test_commands_by_name() -> None:
    found = commands(" time=mcp-server-time --local-timezone UTC ; files = node 'my server.js' a=b;")
    assert found == {
        "time": ("mcp-server-time", "--local-timezone", "UTC"),
        "files": ("node", "my server.js", "a=b"),
    }
    assert commands("") == {}


@pytest.mark.parametrize("setting", ["time", "time=", "=x", "time='x"])
def test_a_setting_that_says_something_else(setting: str) -> None:
    with pytest.raises(ValueError, match=r"SW_MCP_STDIO|quotation"):
        commands(setting)
