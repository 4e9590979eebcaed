from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from threading import Thread

import pytest
import requests

from shared.errors import Invalid
from shared.nodes.base import NodeError
from shared.nodes.outputs._mail import mail
from shared.nodes.outputs._message import Message
from shared.nodes.registry import get
from shared.outbound.guarded_requests import GuardedRequests, guarded
from tests import smtp_server
from tests.echo_server import serving
from tests.shared.nodes.calls import Keyring, Outside, execute, fits, problems

TEXT = {"title": "Order A-17", "message": "It was refused.\nAsk Ü."}


@pytest.fixture(scope="module")
def smtp():
    with smtp_server.serving() as server:
        yield server


@pytest.fixture(scope="module")
def http():
    with serving() as server:
        yield server


def world(kind, values, *hosts):
    return Outside(credentials=Keyring({"out": (kind, values)}), allowed_hosts=frozenset(hosts))


def mail_server(server, **more):
    return {"host": "127.0.0.1", "port": server.port, "from": "Bot <bot@first.example>", "tls": "off", **more}


def send(channel, outside, inputs=TEXT, **config):
    config = {"channel": channel, **({} if channel == "in_app" else {"credential": "out"}), **config}
    return execute("notification", config, inputs, world=outside)


def failed(channel, outside, inputs=TEXT, **config) -> NodeError:
    with pytest.raises(NodeError) as caught:
        send(channel, outside, inputs, **config)
    assert caught.value.error in get("notification").errors
    return caught.value


# --- e-mail, to a real server ----------------------------------------------------------------------------------------


def mailed(smtp, to, inputs=TEXT, **config):
    before = len(smtp.mails)
    assert send("email", world("smtp", mail_server(smtp), smtp.host), inputs, to=to, **config) == {"sent": True}
    assert len(smtp.mails) == before + 1
    return smtp.mails[-1]


def test_a_mail_arrives(smtp):
    recipients, mail = mailed(smtp, "a@first.example, b@first.example, a@first.example")
    assert recipients == ["a@first.example", "b@first.example"]
    assert (mail["Subject"], mail["From"]) == ("Order A-17", "Bot <bot@first.example>")
    assert mail.get_content().replace("\r\n", "\n") == "It was refused.\nAsk Ü.\n"
    assert mail.get_content_type() == "text/plain"
    assert mail["Message-ID"] == mailed(smtp, "a@first.example")[1]["Message-ID"]  # the same run of the node


def test_a_mail_in_html_without_a_title(smtp):
    _, mail = mailed(smtp, "a@first.example", {"message": "<b>Hi</b>\nyou"}, format="html")
    assert (mail["Subject"], mail.get_content_type()) == ("<b>Hi</b>", "text/html")


def test_a_mail_with_a_password(smtp):
    known = mail_server(smtp, username=smtp_server.USER, password=smtp_server.PASSWORD)
    send("email", world("smtp", known, smtp.host), to="a@first.example")
    assert smtp.sessions[-1].authenticated
    unknown = world("smtp", {**known, "password": "wrong-and-secret"}, smtp.host)
    error = failed("email", unknown, to="a@first.example")
    assert (error.error, error.retryable) == ("AuthenticationFailed", False)
    assert "wrong-and-secret" not in str(error)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of 127.0.0.1 and of `mail.test`, signed by itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("mail.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "k.pem").write_bytes(private)
    return folder / "c.pem", folder / "k.pem"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_over_tls_to_a_server_whose_certificate_is_good(certificate, monkeypatch, tls):
    with smtp_server.serving(certificate, at_once=tls == "tls") as server:
        there = world("smtp", mail_server(server, tls=tls), server.host)
        error = failed("email", there, to="a@first.example")  # nobody has signed it
        assert error.error == "ConnectionFailed"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        send("email", there, to="a@first.example")
        assert len(server.mails) == 1


def test_a_server_without_tls_gets_nothing_if_tls_is_asked_for(smtp):
    before = len(smtp.mails)
    error = failed("email", world("smtp", mail_server(smtp, tls="starttls"), smtp.host), to="a@first.example")
    assert (error.error, error.retryable) == ("ConnectionFailed", False)
    assert len(smtp.mails) == before


@pytest.mark.parametrize(
    ("to", "name", "retryable"),
    [
        ("gone@first.example", "Rejected", False),
        ("busy@first.example", "ServerError", True),
        ("a@first.example, gone@first.example", "Rejected", False),
    ],
)
def test_addresses_that_are_refused(smtp, to, name, retryable):
    error = failed("email", world("smtp", mail_server(smtp), smtp.host), to=to)
    assert (error.error, error.retryable) == (name, retryable)


@pytest.mark.parametrize(
    "to",
    [
        "",
        " , ",
        "nobody",
        "a@b@c.example",
        "a b@first.example",
        "<a@first.example>",
        "a@first.example\nBcc: x@y.example",
        ",".join(f"u{n}@first.example" for n in range(51)),
    ],
)
def test_addresses_that_are_none(smtp, to):
    before = len(smtp.mails)
    assert failed("email", world("smtp", mail_server(smtp), smtp.host), to=to).error == "InvalidInput"
    assert len(smtp.mails) == before


@pytest.mark.parametrize("sender", ["nobody", "a@b.example\r\nBcc: c@d.example", "<>", "A <b>"])
def test_a_sender_that_is_none(smtp, sender):
    values = mail_server(smtp) | {"from": sender}
    assert failed("email", world("smtp", values, smtp.host), to="a@first.example").error == "InvalidInput"


def test_mail_servers_that_cannot_be_reached(smtp):
    there = mail_server(smtp)
    assert failed("email", world("smtp", there), to="a@first.example").error == "BlockedAddress"
    metadata = world("smtp", there | {"host": "169.254.169.254"})
    assert failed("email", metadata, to="a@first.example").error == "BlockedAddress"
    nowhere = world("smtp", there | {"host": "nowhere.invalid"})
    assert failed("email", nowhere, to="a@first.example").error == "DnsError"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        gone = world("smtp", there | {"port": port}, f"127.0.0.1:{port}")
        assert failed("email", gone, to="a@first.example").error == "ConnectionFailed"


@pytest.mark.parametrize("farewell", ["421 too busy to say goodbye", "500 what?", "250 OK"])
def test_a_mail_that_was_taken_is_sent_however_the_server_says_goodbye(smtp, monkeypatch, farewell):
    monkeypatch.setattr(smtp, "farewell", farewell)
    assert mailed(smtp, "a@first.example")[0] == ["a@first.example"]


def test_a_mail_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        there = {"host": "127.0.0.1", "port": port, "from": "a@b.example", "tls": "off"}
        outside = world("smtp", there, f"127.0.0.1:{port}")
        config = {"channel": "email", "credential": "out", "to": "a@first.example"}
        with pytest.raises(NodeError) as caught:
            execute("notification", config, TEXT, world=outside, timeout_seconds=2)
    assert caught.value.error == "Timeout"


@contextmanager
def talking(parts: Iterator[bytes], pause: float) -> Iterator[int]:
    """The port of a server that says these parts, one after another, as long as somebody listens."""

    def say(listening: socket.socket) -> None:
        with listening.accept()[0] as connection, suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
                if pause and select([connection], [], [], pause)[0] and not connection.recv(10_000):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=say, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize(("pause", "name"), [(0.0, "ConnectionFailed"), (0.2, "Timeout")])
def test_a_mail_server_whose_reply_has_no_end(pause, name):
    """It costs neither memory nor, for longer than it may, a thread."""
    with talking(iter(lambda: b"220-and more\r\n", b""), pause) as port:
        server = {"host": "127.0.0.1", "port": port, "from": "a@b.example", "tls": "off"}
        began = time.monotonic()
        with pytest.raises(NodeError) as caught:
            mail(Message("", "x", "text", ("a@first.example",), "k"), server, frozenset({f"127.0.0.1:{port}"}), 1.0)
        assert time.monotonic() - began < 5
    assert caught.value.error == name


def test_a_service_whose_answer_has_no_end():
    with talking(iter(lambda: b"x", b""), 0.2) as port, guarded(frozenset({f"127.0.0.1:{port}"}), 1.0) as outcome:
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            GuardedRequests().post(f"http://127.0.0.1:{port}/")
        assert time.monotonic() - began < 5
        assert isinstance(outcome.failure, requests.Timeout)


# --- a webhook -------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_json(http):
    send("webhook", world("notification", {"url": f"{http.base}/hook?token=s3cret"}, http.host))
    method, path, headers, body = http.seen[-1]
    assert (method, path, headers["Idempotency-Key"]) == ("POST", "/hook?token=s3cret", "ex_1:n1")
    assert json.loads(body) == TEXT | {"format": "text", "execution_id": "ex_1"}


@pytest.mark.parametrize(
    ("status", "name", "retryable"),
    [
        (301, "Rejected", False),
        (400, "Rejected", False),
        (401, "AuthenticationFailed", False),
        (403, "AuthenticationFailed", False),
        (429, "RateLimited", True),
        (500, "ServerError", True),
    ],
)
def test_answers_that_are_no_success(http, status, name, retryable):
    url = f"{http.base}/status/{status}?token=s3cret"
    error = failed("webhook", world("notification", {"url": url}, http.host))
    assert (error.error, error.retryable) == (name, retryable)
    assert "s3cret" not in error.message


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://169.254.169.254/latest", "BlockedAddress"),
        ("http://[::ffff:127.0.0.1]/", "BlockedAddress"),
        ("http://localhost:9/", "BlockedAddress"),
        ("https://nowhere.invalid/", "DnsError"),
        ("file:///etc/passwd", "InvalidInput"),
        ("json://localhost", "InvalidInput"),
        ("https://", "InvalidInput"),
        ("slack://a/b/c", "InvalidInput"),
    ],
)
def test_webhooks_that_may_not_be_called(url, name):
    assert failed("webhook", world("notification", {"url": url})).error == name


# --- in the application ----------------------------------------------------------------------------------------------


def test_in_the_application():
    told = []
    outside = Outside(notify=lambda to, title, message, *, key: told.append((to, title, message, key)))
    assert send("in_app", outside, to="support, a@first.example") == {"sent": True}
    assert told == [(("support", "a@first.example"), TEXT["title"], TEXT["message"], "ex_1:n1")]


def test_in_the_application_to_nobody_there_is():
    def notify(*_a, **_k):
        raise Invalid("there is no user 'x'")

    assert failed("in_app", Outside(notify=notify), to="x").error == "InvalidInput"


# --- what is said, and the config ------------------------------------------------------------------------------------

BAD = {
    "no message": {},
    "an empty message": {"message": " \n"},
    "a message that is no text": {"message": {"a": 1}},
    "a long message": {"message": "x" * 20_001},
    "half a character": {"message": "\ud800"},
    "a title that is no text": {"message": "x", "title": 5},
    "a title of two lines": {"message": "x", "title": "a\nBcc: b@c.example"},
    "a long title": {"message": "x", "title": "x" * 251},
}


@pytest.mark.parametrize("inputs", BAD.values(), ids=BAD)
def test_what_cannot_be_said(inputs):
    assert failed("in_app", Outside(), inputs).error == "InvalidInput"


def test_credentials_that_do_not_fit(smtp):
    assert failed("email", world("notification", {"url": "https://x"}), to="a@b.example").error == "WrongCredential"
    assert failed("slack", world("smtp", mail_server(smtp))).error == "WrongCredential"
    assert failed("slack", Outside(credentials=Keyring({}))).error == "CredentialNotFound"
    assert failed("slack", Outside(), credential="").error == "MissingCredential"


def test_the_config_says_what_is_missing():
    assert problems("notification", {}) == []
    assert problems("notification", {"channel": "slack"}) == ["config.credential"]
    assert problems("notification", {"channel": "email"}) == ["config.credential", "config.to"]
    for config in ({"channel": "pigeon"}, {"format": "rtf"}, {"to": 5}, {"url": "x"}, {"credential": "A B"}):
        assert not fits(get("notification"), config)
