"""What http_request refuses to reach, by whatever name, form or detour."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import Outside, execute
from tests.shared.nodes.http_server import Asked, Reply, serving


def refused(url: str, world: Outside | None = None, config: dict[str, Any] | None = None) -> NodeError:
    with pytest.raises(NodeError) as caught:
        execute("http_request", config, {"url": url}, world=world)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LocalHost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_this_machine_cannot_be_reached_under_any_name(host: str) -> None:
    with serving([Reply({"secret": 1})]) as server:
        error = refused(f"http://{host}:{server.port}/")
        assert error.error in ("BlockedAddress", "InvalidInput")
        assert not error.retryable
        assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.170.2/v2/credentials",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "https://172.16.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://0xa9fea9fe/",
        "http://2852039166/",
    ],
)
def test_private_and_metadata_addresses_are_refused(url: str) -> None:
    assert refused(url).error == "BlockedAddress"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_a_redirect_is_checked_again(host: str) -> None:
    with serving([Reply({"secret": 1})]) as inside:
        answer = Reply(b"", 302, {"Location": f"http://{host}:{inside.port}/admin"})
        with serving([answer]) as server:
            error = refused(server.url, Outside(allowed_hosts=frozenset({server.host})))
        assert error.error == "BlockedAddress"
        assert inside.connections == 0


def test_an_operators_permission_is_for_one_port_only() -> None:
    with serving([Reply("in")]) as allowed, serving([Reply("out")]) as other:
        world = Outside(allowed_hosts=frozenset({allowed.host}))
        assert execute("http_request", {}, {"url": allowed.url}, world=world)["response"] == "in"
        assert refused(other.url, world).error == "BlockedAddress"


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, [["1.1.1.1", "10.0.0.5"]])
    assert refused("http://mixed.test/").error == "BlockedAddress"


def test_the_checked_address_is_the_one_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: Reply({"host": asked.headers["host"]})) as server:
        looked_up = resolves(monkeypatch, [["127.0.0.1"], ["10.255.255.1"]])
        world = Outside(allowed_hosts=frozenset({f"pinned.test:{server.port}"}))
        url = f"http://pinned.test:{server.port}/"
        answer = execute("http_request", {}, {"url": url}, world=world)
    assert answer["response"] == {"host": f"pinned.test:{server.port}"}  # the name is kept
    assert looked_up == ["pinned.test"]  # and resolved once: a second answer would have been another address


def test_the_second_address_is_tried_when_the_first_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving([Reply("ok")]) as server:
        resolves(monkeypatch, [["127.99.99.99", "127.0.0.1"]])  # the server listens on 127.0.0.1 only
        world = Outside(allowed_hosts=frozenset({f"two.test:{server.port}"}))
        url = f"http://two.test:{server.port}/"
        assert execute("http_request", {}, {"url": url}, world=world)["response"] == "ok"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving([Reply("proxied")]) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert refused("http://10.0.0.1/").error == "BlockedAddress"
        assert proxy.connections == 0


def test_every_hop_gets_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Reply:
        there = f"http://second.test:{server.port}/end"
        return Reply({"host": asked.headers["host"]}) if asked.path == "/end" else Reply(b"", 302, {"Location": there})

    with serving(answer) as server:
        resolves(monkeypatch, [["127.0.0.1"], ["127.0.0.1"]])
        names = frozenset({f"first.test:{server.port}", f"second.test:{server.port}"})
        world = Outside(allowed_hosts=names)
        url = f"http://first.test:{server.port}/"
        assert execute("http_request", {}, {"url": url}, world=world)["response"] == {
            "host": f"second.test:{server.port}"
        }


def resolves(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> list[str]:
    """Let the resolver answer by script; gives the names that were looked up."""
    looked_up: list[str] = []

    def fake(host: str, port: int, *_args: Any, **_more: Any) -> list[Any]:
        looked_up.append(host)
        addresses = answers[len(looked_up) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return looked_up
