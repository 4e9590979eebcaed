"""`secrets.<name>`: a node's templates read it, the other side gets it, and nothing that is stored or logged has it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from shared.aws.clients import client
from shared.credentials import store
from shared.credentials.store import CredentialStore
from shared.errors import Unavailable
from shared.nodes.base import NodeError
from stepfunctions.compiler.compile import check
from stepfunctions.engine.secrets import HIDDEN, Secrets
from stepfunctions.engine.world import NodeLog
from tests.echo_server import EchoServer
from tests.shared.credentials.keeping import everything_stored, keep
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service

SECRET = "pa$$ wörd/7391+"


@pytest.fixture
def kept(tenant) -> CredentialStore:
    return keep(tenant, "signing", "secret", {"value": SECRET})


def calling(http: EchoServer, *, inputs: Any = None, config: Any = None, path: str = "/echo", **fields: Any):
    made = {"url": http.base + path, **(inputs or {})}
    return document(
        [
            node("start", "manual_trigger"),
            node("call", "http_request", {"method": "POST", **(config or {})}, inputs=made, **fields),
            node("seen", "transform", {"expression": "inputs.input"}),
            node("log", "log"),
            node("out", "output"),
        ],
        "call.response -> seen.input; call.response -> log.message; seen.output -> out.value",
    )


def everything(machines: Machines, said: str) -> str:
    """All that is stored, all histories, and what was printed."""
    found = [everything_stored(), said]
    states = client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        found.append(states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])["definition"])
        for one in states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
            found.append(repr(states.get_execution_history(executionArn=one["executionArn"])["events"]))
    return "\n".join(found)


def forms(secret: str) -> list[str]:
    """How the secret must not be found: as it is and as bytes, JSON, URLs and base64 have it."""
    coded = [base64.b64encode(b"x" * n + secret.encode()).decode()[(0, 2, 3)[n] : -4] for n in range(3)]
    return [secret, repr(secret.encode())[2:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), *coded]


def test_the_other_side_gets_it_and_nobody_else(machines: Machines, http: EchoServer, kept, capfd):
    inputs = {
        "headers": {"X-Sum": "{{ $base64encode(secrets.signing) }}", "X-Plain": "plain"},
        "body": {"key": "{{ secrets.signing }}", "in": {"text": "a {{ secrets.signing }} b"}, "open": "{{ trigger }}"},
    }
    auth = {"type": "basic", "username": "me", "password": "{{ secrets.signing }}"}
    run = machines.until(machines.start(calling(http, inputs=inputs, config={"auth": auth}), "shown"))
    assert run.status == "completed"
    _, _, headers, body = http.seen[0]
    assert json.loads(body) == {"key": SECRET, "in": {"text": f"a {SECRET} b"}, "open": "shown"}
    assert base64.b64decode(headers["x-sum"].encode()).decode() == SECRET
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f"me:{SECRET}"
    record = machines.records(run)["", "call"]
    assert machines.value(record.inputs["body"]) == {"key": HIDDEN, "in": {"text": HIDDEN}, "open": "shown"}
    assert machines.value(record.inputs["headers"]) == {"X-Sum": HIDDEN, "X-Plain": "plain"}
    assert HIDDEN in json.dumps(machines.value(run.final_output))  # the service says what it got
    text = everything(machines, "".join(capfd.readouterr()))
    assert "EXECUTIONSTARTED" in text.upper()
    assert not [form for form in forms(SECRET) if form in text]


def test_the_functions_log_tells_of_lines_and_not_what_they_say(machines: Machines, http: EchoServer, kept, capfd):
    levels = ("debug", "warning", "error")
    inputs = {"url": f"{http.base}/echo", "body": ["{{ secrets.signing }}", "{{ trigger }}"]}
    flow = document(
        [
            node("start", "manual_trigger"),
            node("call", "http_request", {"method": "POST"}, inputs=inputs),
            node("log", "log"),
            *(node(level, "log", {"level": level}) for level in levels),
        ],
        "; ".join(["call.response -> log.message", *(f"start.trigger -> {level}.message" for level in levels)]),
    )
    run = machines.until(machines.start(flow, "Wilhelmina"))
    assert run.status == "completed"
    records = machines.records(run)
    assert [records["", level].logs[0]["message"] for level in levels] == ["Wilhelmina"] * 3
    assert HIDDEN in records["", "log"].logs[0]["message"]
    printed = "".join(capfd.readouterr())
    lines = [json.loads(line) for line in printed.splitlines() if '"node log"' in line]
    facts = ("level", "tenant_id", "execution_id", "characters")
    characters = len(records["", "log"].logs[0]["message"])
    assert {line["node_id"]: tuple(line[name] for name in facts) for line in lines} == {
        "log": ("INFO", machines.tenant.id, run.id, characters),
        "warning": ("WARNING", machines.tenant.id, run.id, 10),
        "error": ("ERROR", machines.tenant.id, run.id, 10),
    }
    assert not [form for form in (*forms(SECRET), HIDDEN, "Wilhelmina") if form in printed]


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"headers": {"{{ secrets.signing }}": "x", "X": "{{ secrets.signing }}"}}, "InvalidInput"),
        ({"headers": "{{ secrets.signing }}"}, "InvalidInput"),
        ({"url": "{{ secrets.signing }}"}, "InvalidInput"),
        ({"url": "http://{{ $substringBefore(secrets.signing, '$') }}.invalid/"}, "DnsError"),
        ({"body": "{{ $error(secrets.signing) }}"}, "ExpressionError"),
        ({"body": "{{ $error($uppercase(secrets.signing)) }}"}, "ExpressionError"),
        ({"body": "{{ $number(secrets.signing) }}"}, "ExpressionError"),
        ({"body": "{{ secrets.signing }}", "url": "PATH/status/500"}, "HttpError"),
    ],
)
def test_no_failure_says_it(machines: Machines, http: EchoServer, kept, capfd, inputs, error):
    inputs = {k: v.replace("PATH", http.base) if isinstance(v, str) else v for k, v in inputs.items()}
    run = machines.until(machines.start(calling(http, inputs=inputs), "x"))
    assert (run.status, run.error["error"]) == ("failed", error)
    text = everything(machines, "".join(capfd.readouterr()))
    assert not [form for form in (*forms(SECRET), SECRET.upper()) if form in text]


@pytest.mark.parametrize(
    ("kind", "values", "error"),
    [
        (None, {}, "CredentialNotFound"),
        ("bearer", {"token": SECRET}, "WrongCredential"),
    ],
)
def test_a_secret_that_cannot_be_had_fails_the_node(machines, http, tenant, kind, values, error):
    if kind:
        keep(tenant, "signing", kind, values)
    made = calling(http, inputs={"body": "{{ secrets.signing }}"}, on_error="continue")
    run = machines.until(machines.start(made))
    assert run.status == "completed"
    assert machines.records(run)["", "call"].error["error"] == error
    assert http.seen == []


def test_a_key_service_that_is_busy_for_a_while_is_asked_again(machines, http, kept, monkeypatch):
    asked = []
    values_of = store.values_of

    def busy(*args):
        asked.append(1)
        if len(asked) < 3:
            raise Unavailable("the key service cannot be reached; try again")
        return values_of(*args)

    monkeypatch.setattr(store, "values_of", busy)
    retry = {"max_attempts": 3, "interval_seconds": 0.01, "backoff_rate": 1, "max_interval_seconds": 1}
    run = machines.until(machines.start(calling(http, inputs={"body": "{{ secrets.signing }}"}, retry=retry)))
    assert (run.status, machines.records(run)["", "call"].attempts) == ("completed", 3)
    assert len(http.seen) == 1


def test_another_tenants_secret_is_not_found(machines, http, other_tenant):
    keep(other_tenant, "signing", "secret", {"value": SECRET})
    run = machines.until(machines.start(calling(http, inputs={"body": "{{ secrets.signing }}"})))
    assert (run.status, run.error["error"]) == ("failed", "CredentialNotFound")


def test_each_run_gets_what_is_set_by_then(machines, http, kept, tenant):
    made = calling(http, inputs={"body": "{{ secrets.signing }}"})
    machines.until(machines.start(made))
    kept.remove("signing", None)
    keep(tenant, "signing", "secret", {"value": "another one"})
    machines.until(machines.start(made))
    assert [body.decode() for *_, body in http.seen] == [SECRET, "another one"]


def test_it_is_read_in_loops(machines, http, kept):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop"),
            node(
                "call",
                "http_request",
                {"method": "POST"},
                parent="each",
                inputs={"url": http.base + "/echo", "body": "{{ item & secrets.signing }}"},
            ),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )
    run = machines.until(machines.start(made, ["a", "b"]))
    assert run.status == "completed"
    assert sorted(body.decode() for *_, body in http.seen) == ["a" + SECRET, "b" + SECRET]
    assert SECRET not in everything_stored()


@pytest.mark.parametrize(
    ("type_name", "config", "inputs"),
    [
        ("transform", {"expression": "secrets.signing"}, {}),
        ("template", {"template": "x"}, {"vars": "{{ secrets }}"}),
        ("condition", {"condition": "secrets.signing = 'x'"}, {}),
        ("output", {}, {"value": "{{ secrets.signing }}"}),
        ("log", {}, {"message": "{{ secrets.signing }}"}),
        ("cache_set", {}, {"key": "k", "value": "{{ secrets.signing }}"}),
        ("function_call", {}, {"name": "x", "args": {"k": "{{ secrets.signing }}"}}),
        ("file_write", {}, {"path": "x", "content": "{{ secrets.signing }}"}),
        ("human_in_the_loop", {"title": "{{ secrets.signing }}"}, {}),
        ("llm_chat", {}, {"prompt": "{{ secrets.signing }}"}),
        ("http_request", {"pagination": {"type": "page", "items": "[secrets.signing]"}}, {"url": "http://x.example"}),
        ("http_request", {"method": "POST"}, {"url": "http://x.example", "body": "{{ secrets }}"}),
    ],
)
def test_where_it_would_be_kept_it_cannot_be_read(type_name, config, inputs):
    made = document(
        [node("start", "manual_trigger"), node("n", type_name, config, inputs=inputs), node("out", "output")]
    )
    found = {d.code for d in check(made) if d.node_id == "n"}
    assert found & {"unknown_name", "bad_expression"}


@pytest.mark.parametrize("spelled", ['"\\u0073ecrets".signing', "`secrets`.signing", "secrets . signing"])
def test_other_spellings_are_the_same_secret(machines, http, kept, spelled):
    made = calling(http, inputs={"body": "{{ $uppercase(" + spelled + ") }}"})
    run = machines.until(machines.start(made))
    assert machines.value(machines.records(run)["", "call"].inputs["body"]) == HIDDEN
    assert http.seen[0][3].decode() == SECRET.upper()


@pytest.mark.parametrize("form", [SECRET, *forms(SECRET)[2:]])
@pytest.mark.parametrize("left", [8, 10, 12])
def test_what_is_left_of_it_where_a_text_was_cut(form: str, left: int):
    secrets, log = Secrets({"a": SECRET}), NodeLog()
    log.log("info", "x" * (3_999 - left) + form + "and more")
    failure = secrets.hide_error(NodeError("HttpError", f"said: {form[:left]} (and 2 more)"))
    assert secrets.hide(log.lines, cut=True)[0]["message"] == "x" * (3_999 - left) + HIDDEN + "…"
    assert failure.message == f"said: {HIDDEN} (and 2 more)"
    assert secrets.hide(f"data {form[:left]}") == f"data {form[:left]}"


def test_an_address_is_known_by_more_than_its_scheme():
    hook = "https://hooks.example.com/services/T0/B1"
    said = "https://api.example.com answered 500; https://hooks.example.com/ser"
    assert Secrets({"a": hook}).hide(said, cut=True) == f"https://api.example.com answered 500; {HIDDEN}"


def test_what_is_left_of_it_in_what_a_service_said(machines: Machines, remote: Service, kept):
    remote.bodies["/"] = json.dumps({"errors": [{"message": "x" * 290 + SECRET}, {"message": "more"}]}).encode()
    inputs = {"query": "{ a }", "variables": {"key": "{{ secrets.signing }}"}}
    ask = node("ask", "graphql_query", {"url": f"{remote.base}/"}, inputs=inputs)
    run = machines.until(machines.start(document([node("start", "manual_trigger"), ask])))
    assert run.error is not None
    assert run.error["message"] == "x" * 290 + f"{HIDDEN} (and 1 more)"
    assert SECRET[:8] not in everything_stored()


def test_hiding():
    secrets = Secrets({"a": SECRET, "b": "12345678", "c": "345678901"})
    hidden = secrets.hide(
        {
            f"key {SECRET}": [f"x{SECRET}y", 12345678, True, None, 1.5],
            "url": f"/x?k={quote(SECRET, safe='')}&z",
            "json": json.dumps({"k": SECRET}),
            "base64": [base64.b64encode(b"z" * n + SECRET.encode() + b"tail").decode() for n in range(5)],
            "both": "12345678901",
        }
    )
    text = json.dumps(hidden, ensure_ascii=False)
    assert not [form for form in forms(SECRET) if form in text]
    assert list(hidden) == [f"key {HIDDEN}", "url", "json", "base64", "both"]
    assert hidden[f"key {HIDDEN}"] == [f"x{HIDDEN}y", HIDDEN, True, None, 1.5]
    assert "345678901" not in text
