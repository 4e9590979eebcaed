"""Code, shell and graphs on the local AWS: the functions as they are deployed, with the policies in force."""

from __future__ import annotations

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
PYTHON = """import collections
words = [w.lower() for line in input['lines'] for w in line.split()]
print(len(words), 'words')
result = collections.Counter(words).most_common()"""
JAVASCRIPT = "const result = input.map(([word, n]) => `${word},${n}`).join('\\n') + '\\n'"
CHAIN = document(
    [
        node("hook", "http_webhook", {"response_mode": "last"}),
        node("count", "code_executor", {"code": PYTHON}),
        node("lines", "code_executor", {"language": "javascript", "code": JAVASCRIPT}),
        node("top", "shell_command", inputs={"command": "sort -t, -k2 -rn | head -1 | cut -d, -f1"}),
        node("out", "output", inputs={"value": "{{ [nodes.count.stdout, nodes.top] }}"}),
    ],
    "hook.body -> count.input; count.result -> lines.input; lines.result -> top.stdin",
)
ESCAPES = {
    "python": "import os\ntry: seen = open('/proc/self/environ').read()\nexcept OSError as e: seen = type(e).__name__\n"
    "result = [dict(os.environ), seen]",
    "javascript": "[typeof process, typeof require, typeof fetch]",
}


def test_a_webhook_runs_python_javascript_and_shell(mine: Caller) -> None:
    hook = mine.publish(mine.store(CHAIN))["hook"]
    body = {"lines": ["to be or not", "to be that is TO"]}
    answer = httpx.post(hook["url"], json=body, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.json() == ["9 words\n", {"stdout": "to\n", "stderr": "", "code": 0}]


def test_what_tries_to_get_out_finds_nothing(mine: Caller, local: Stack) -> None:
    tried = document(
        [
            node("start", "manual_trigger"),
            *(node(n, "code_executor", {"language": n, "code": code}) for n, code in ESCAPES.items()),
            node(
                "shell",
                "shell_command",
                inputs={"command": "env; cat /proc/self/environ /etc/shadow; curl -s http://169.254.169.254/"},
            ),
            node(
                "out",
                "output",
                inputs={"value": "{{ {'py': nodes.python.result, 'js': nodes.javascript.result, 'sh': nodes.shell} }}"},
            ),
        ],
        "start.trigger -> python.input; start.trigger -> javascript.input; start.trigger -> shell.stdin",
    )
    ended = mine.until(mine.start(tried, "x"))
    assert ended["status"] == "completed", ended["error"]
    python, javascript, shell = (ended["final_output"][name] for name in ("py", "js", "sh"))
    assert python == [{}, "FileNotFoundError"]
    assert javascript == ["undefined"] * 3
    assert shell["code"] != 0
    assert "AWS" not in shell["stdout"]
    assert "No such file" in shell["stderr"]
    assert "network access not configured" in shell["stderr"]
    [settings] = [
        f for f in local.client("lambda").list_functions()["Functions"] if f["FunctionName"].endswith("-sandbox")
    ]
    assert not settings.get("Environment", {}).get("Variables")


def test_an_escape_that_fails_takes_the_error_port(mine: Caller) -> None:
    failing = document(
        [
            node("start", "manual_trigger"),
            node("code", "code_executor", {"code": "import socket\nsocket.create_connection(('169.254.169.254', 80))"}),
            node("out", "output"),
        ],
        "start.trigger -> code.input; code.error -> out.value",
    )
    ended = mine.until(mine.start(failing))
    assert ended["status"] == "completed", ended["error"]
    assert ended["final_output"]["error"] == "CodeFailed"
    assert "ModuleNotFoundError: No module named 'socket'" in ended["final_output"]["message"]


def test_the_roles_reach_the_sandbox_and_it_reaches_nothing(local: Stack) -> None:
    policies = local.client("iam").list_roles()["Roles"]
    [role] = [r["RoleName"] for r in policies if "SandboxRole" in r["RoleName"]]
    assert local.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert local.client("iam").list_role_policies(RoleName=role)["PolicyNames"] == ["own-log"]


def test_two_tenants_graphs_are_their_own(mine: Caller, theirs: Caller) -> None:
    query = "MERGE (a:Person {name: $name}) MERGE (b:City {name: 'Delft'}) MERGE (a)-[:LIVES_IN]->(b)"
    living = document(
        [
            node("start", "manual_trigger"),
            node("put", "graph_query", {"mode": "write"}, inputs={"query": query, "params": "{{ trigger }}"}),
            node(
                "look",
                "graph_query",
                inputs={
                    "query": "MATCH (a)-[:LIVES_IN]->(c) RETURN a.name AS name, c ORDER BY name",
                    "params": "{{ nodes.put.rows[0] }}",
                },
            ),
            node("out", "output", inputs={"value": "{{ [nodes.look.rows.name, nodes.look.nodes.properties] }}"}),
        ],
        "start.trigger -> put.params",
    )
    for caller, name in ((mine, "Ada"), (theirs, "Bob"), (mine, "Ada")):
        ended = caller.until(caller.start(living, {"name": name}))
        assert ended["status"] == "completed", ended["error"]
        assert ended["final_output"] == [name, {"name": "Delft"}]
