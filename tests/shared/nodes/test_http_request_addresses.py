"""http_request reaches public addresses only, however a private one is written, and wherever a redirect leads."""

from __future__ import annotations

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import Outside, execute
from tests.shared.nodes.http_server import Reply, serving

PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",  # decimal
    "0x7f000001",  # hexadecimal
    "0x7f.0.0.1",
    "0177.0.0.1",  # octal
    "017700000001",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "0.0.0.0",
    "0",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:169.254.169.254]",
    "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "2852039166",  # the same in decimal
    "10.0.0.1",
    "[fe80::1]",
    "[fd00:ec2::254]",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    with serving([Reply({})]) as server, pytest.raises(NodeError) as caught:
        execute("http_request", {}, {"url": f"http://{host}:{server.port}/"})
    assert caught.value.error in ("BlockedAddress", "DnsError", "InvalidInput")
    assert server.asked == []


@pytest.mark.parametrize("host", PRIVATE)
def test_so_it_is_when_a_redirect_leads_there(host: str) -> None:
    with serving([Reply({})]) as inside:
        there = f"http://{host}:{inside.port}/secret"
        with serving([Reply(b"", 302, {"Location": there})]) as server, pytest.raises(NodeError) as caught:
            execute("http_request", {}, {"url": server.url}, world=Outside(allowed_hosts=frozenset({server.host})))
        assert caught.value.error in ("BlockedAddress", "DnsError", "InvalidResponse", "ConnectionFailed")
        assert len(server.asked) == 1
        assert inside.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.1", "127.1", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_an_allowed_host_is_allowed_with_it(host: str) -> None:
    with serving([Reply({})]) as server:
        world = Outside(allowed_hosts=frozenset({server.host}))
        with pytest.raises(NodeError):
            execute("http_request", {}, {"url": f"http://{host}:{server.port}/"}, world=world)
    assert server.asked == []
