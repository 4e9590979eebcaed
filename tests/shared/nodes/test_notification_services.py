"""Chats and text messages through the real library, against a stand-in of the services on loopback.

Their hosts are fixed in the library's classes, as attributes: these are set to the stand-in's. Teams' host stands in
the credential; Apprise takes https only there, so that one is tested up to the connection.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import apprise
import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.messagebird import NotifyMessageBird
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.twilio import NotifyTwilio
from apprise.plugins.vonage import NotifyVonage

from infrastructure.package.build import trim
from shared.credentials.kinds import KINDS
from shared.nodes.base import NodeError
from shared.nodes.outputs._services import SERVICES
from shared.nodes.registry import get
from shared.outbound.guarded_requests import GuardedRequests, guarded
from shared.outbound.hosts import AddressRefused, NameNotFound
from tests.echo_server import serving
from tests.shared.nodes.calls import Keyring, Outside, execute

TEXT = {"title": "Order A-17", "message": "It was refused. Ü"}
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#orders"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544"
TWILIO = f"twilio://AC{'a' * 32}:{'b' * 32}@15551233456/15551231234"
VONAGE = f"vonage://{'c' * 8}:{'d' * 16}@15551233456/15551231234"
BIRD = f"msgbird://{'e' * 25}/15551233456/15551231234"
TEAMS = "workflows://prod-1.westus.logic.azure.com:443/643e69f83c8944438d68119179a10a64/KPkWxV-signature"


@pytest.fixture(scope="module")
def http():
    with serving() as server:
        yield server


@pytest.fixture
def stand_in(http, monkeypatch):
    """Every service is this server, at a path that says which."""
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{http.base}/slack")
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{http.base}/discord")
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{http.base}/telegram/bot")
    monkeypatch.setattr(NotifyTwilio, "notify_sms_url", f"{http.base}/twilio/{{sid}}/Messages.json")
    monkeypatch.setattr(NotifyVonage, "notify_url", f"{http.base}/vonage")
    monkeypatch.setattr(NotifyMessageBird, "notify_url", f"{http.base}/bird")
    return http


def send(channel, url, *hosts, timeout=20.0):
    world = Outside(credentials=Keyring({"out": ("notification", {"url": url})}), allowed_hosts=frozenset(hosts))
    config = {"channel": channel, "credential": "out"}
    return execute("notification", config, TEXT, world=world, timeout_seconds=timeout)


def failed(channel, url, *hosts, **more) -> NodeError:
    with pytest.raises(NodeError) as caught:
        send(channel, url, *hosts, **more)
    assert caught.value.error in get("notification").errors
    return caught.value


@pytest.mark.parametrize(
    ("channel", "url", "path"),
    [
        ("discord", DISCORD, "/discord/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"),
        ("telegram", TELEGRAM, "/telegram/bot123456789:abcdefg_hijklmnop/sendMessage"),
        ("sms", TWILIO, f"/twilio/AC{'a' * 32}/Messages.json"),
        ("sms", BIRD, "/bird"),
    ],
)
def test_services_get_the_message(stand_in, channel, url, path):
    before = len(stand_in.seen)
    assert send(channel, url, stand_in.host) == {"sent": True}
    method, asked, _, body = stand_in.seen[before]
    assert (method, asked.partition("?")[0]) == ("POST", path)
    said = body.decode()
    values = json.loads(said) if said.startswith("{") else {k: v[0] for k, v in parse_qs(said).items()}
    assert "refused. Ü" in json.dumps(values, ensure_ascii=False)


def test_slack_gets_the_message(stand_in):
    error = failed("slack", SLACK, stand_in.host)  # it answers `ok`, this server does not
    assert error.error == "Rejected"
    _, path, _, body = stand_in.seen[-1]
    assert path == "/slack/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert "refused. Ü" in json.dumps(json.loads(body), ensure_ascii=False)


@pytest.mark.parametrize(
    ("status", "name", "retryable"),
    [
        (404, "Rejected", False),
        (401, "AuthenticationFailed", False),
        (429, "RateLimited", True),
        (503, "ServerError", True),
    ],
)
def test_answers_that_are_no_success(http, monkeypatch, status, name, retryable):
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{http.base}/status/{status}")
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{http.base}/status/{status}/x")
    error = failed("discord", DISCORD, http.host)
    assert (error.error, error.retryable) == (name, retryable)
    assert "JHMHI8q" not in error.message


def test_a_service_that_does_not_answer_in_time(http, monkeypatch):
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{http.base}/slow?s=3&x=")
    assert failed("discord", DISCORD, http.host, timeout=2).error == "Timeout"


def test_a_service_that_is_not_there(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://{host}/x")
        assert failed("discord", DISCORD, host).error == "ConnectionFailed"


def test_no_service_leads_to_a_private_address(stand_in):
    """Should a class name another host than it does, or a host of its own be in the address: the guard holds."""
    before = len(stand_in.seen)
    for channel, url in (("slack", SLACK), ("discord", DISCORD), ("telegram", TELEGRAM), ("sms", VONAGE)):
        assert failed(channel, url).error == "BlockedAddress"
    assert len(stand_in.seen) == before
    assert failed("teams", TEAMS.replace("prod-1.westus.logic.azure.com:443", "127.0.0.1")).error == "BlockedAddress"
    assert (
        failed("teams", TEAMS.replace("prod-1.westus.logic.azure.com:443", "169.254.169.254")).error == "BlockedAddress"
    )
    assert failed("teams", TEAMS.replace("prod-1.westus.logic.azure.com", "nowhere.invalid")).error == "DnsError"


REFUSED = {
    "a command": ("slack", "syslog://"),
    "a file": ("slack", "file:///etc/passwd"),
    "the desktop": ("slack", "dbus://"),
    "a host of one's own": ("slack", "json://localhost/"),
    "mail": ("slack", "mailto://user:pass@example.com"),
    "plain web": ("slack", "https://hooks.slack.com/services/A/B/C"),
    "another channel's": ("discord", SLACK),
    "nothing": ("slack", ""),
    "no scheme": ("slack", "T1JJ3T3L2/A1BRTD4JD"),
    "a template of this machine": ("slack", SLACK + "?template=/etc/passwd"),
    "a template of the web": ("teams", TEAMS + "?template=http://169.254.169.254/"),
    "no check of TLS": ("discord", DISCORD + "?verify=no"),
    "a picture": ("discord", DISCORD + "?avatar_url=http://127.0.0.1/"),
    "redirects": ("discord", DISCORD + "?redirect=yes"),
    "a long wait": ("discord", DISCORD + "?rto=900"),
    "a header": ("discord", DISCORD + "?%2Bx=y"),
    "a token of a template": ("teams", TEAMS + "?:x=y"),
    "half of it": ("slack", "slack://T1JJ3T3L2/"),
    "no number": ("sms", f"twilio://AC{'a' * 32}:{'b' * 32}@x"),
}


@pytest.mark.parametrize(("channel", "url"), REFUSED.values(), ids=REFUSED)
def test_addresses_that_are_refused(stand_in, channel, url):
    before = len(stand_in.seen)
    error = failed(channel, url, stand_in.host)
    assert (error.error, error.retryable) == ("InvalidInput", False)
    assert len(stand_in.seen) == before
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in error.message


def test_the_credentials_help_names_what_is_taken():
    said = KINDS["notification"]["properties"]["url"]["description"]
    assert set(re.findall(r"(\w+)://", said)) == {*SERVICES, "https"}


def test_the_library_says_nothing(stand_in, caplog, capsys):
    """It would log addresses and payloads."""
    caplog.set_level(logging.DEBUG)
    failed("slack", SLACK, stand_in.host)
    failed("slack", "slack://T1JJ3T3L2/secret-but-wrong")
    assert not [r for r in caplog.records if r.name.startswith("apprise")]
    assert "secret-but-wrong" not in caplog.text + capsys.readouterr().err


def test_what_stands_for_requests():
    held = GuardedRequests()
    assert held.codes.ok == 200
    assert not hasattr(held, "Session")
    with guarded(frozenset(), 2), pytest.raises(AddressRefused):
        held.get("http://127.0.0.1:1/")
    with guarded(frozenset(), 2), pytest.raises(AddressRefused):
        held.put("http://[::1]/", data=b"x", verify=False, allow_redirects=True)
    with guarded(frozenset(), 2), pytest.raises(NameNotFound):
        held.post("https://nowhere.invalid/", json={})


def test_redirects_are_not_followed_and_answers_not_read_without_end(http):
    held = GuardedRequests()
    with guarded(frozenset({http.host}), 20) as outcome:
        assert len(held.get(f"{http.base}/big?n=50000").content) == 1_000_000
        assert (outcome.status, outcome.sent) == (200, 1)
        assert held.get(f"{http.base}/status/302", allow_redirects=True).status_code == 302


def test_the_library_is_loaded_when_it_is_first_used():
    code = (
        "import sys; from shared.nodes import registry; registry.get('notification');"
        "print(sorted(m for m in ('apprise', 'requests', 'smtplib') if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


_TRIMMED = """
import sys
import apprise
assert apprise.__file__.startswith(sys.argv[1])
from shared.nodes.base import NodeError
from shared.nodes.outputs._message import Message
from shared.nodes.outputs._services import deliver
for address in sys.argv[2:]:
    channel, _, url = address.partition(" ")
    for written in ("text", "markdown", "html"):
        try:
            deliver(channel, url, Message("T", "hello *x*", written, (), "k"), frozenset(), 3)
        except NodeError as error:
            assert error.error == "DnsError", error
        else:
            raise AssertionError("sent")
"""


def test_what_the_archive_has_of_the_library_is_enough(tmp_path):
    """Most of it is left out. Nothing resolves here, so what comes to the connection has come as far as it can."""
    shutil.copytree(Path(apprise.__file__).parent, tmp_path / "apprise")
    trim(tmp_path)
    assert len(list((tmp_path / "apprise" / "plugins").glob("*.py"))) < 12
    urls = {
        "slack": [SLACK],
        "discord": [DISCORD],
        "telegram": [TELEGRAM],
        "sms": [TWILIO, VONAGE, BIRD],
        "teams": [TEAMS],
    }
    told = [f"{channel} {url}" for channel, found in urls.items() for url in found]
    nowhere = "import socket\ndef none(*a, **k): raise socket.gaierror\nsocket.getaddrinfo = none\n"
    run = subprocess.run(
        [sys.executable, "-c", nowhere + _TRIMMED, str(tmp_path), *told],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
    )
    assert run.returncode == 0, run.stderr
