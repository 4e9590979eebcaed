"""Shell commands in the sandbox: what they can do, and what they try in vain."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.sandbox.runtime import Runtime


def run(sandbox: Runtime, command: str, stdin: str = "", seconds: float = 10) -> dict[str, Any]:
    return sandbox("shell", command, stdin, seconds)


@pytest.mark.parametrize(
    ("command", "stdin", "stdout"),
    [
        ("echo hello | tr a-z A-Z", "", "HELLO\n"),
        ("sort | uniq -c | sort -rn | head -1", "b\na\nb\n", "      2 b\n"),
        ("cat", "é€\n", "é€\n"),
        ("pwd; ls -A", "", "/home/user\n"),
        ("for i in 1 2 3; do echo $((i * i)); done > f; wc -l < f", "", "3\n"),
        ("jq -c '.a | map(. + 1)'", '{"a": [1, 2]}', "[2,3]\n"),
        ("awk -F, '{ s += $2 } END { print s }'", "a,1\nb,2\n", "3\n"),
        ("mkdir d; echo x > d/f; tar -cf t.tar d; rm -r d; tar -xf t.tar; cat d/f", "", "x\n"),
        ("read first; echo $first; cat", "1\n2\n", "1\n2\n"),
        ("sleep 0.1; echo after", "", "after\n"),
    ],
)
def test_a_command(sandbox: Runtime, command: str, stdin: str, stdout: str) -> None:
    assert run(sandbox, command, stdin) == {"stdout": stdout, "stderr": "", "code": 0}


def test_a_status_and_standard_error(sandbox: Runtime) -> None:
    assert run(sandbox, "echo no >&2; exit 3") == {"stdout": "", "stderr": "no\n", "code": 3}
    broken = run(sandbox, "if true; then echo")
    assert broken["code"] == 2
    assert "parse error" in broken["stderr"]
    assert run(sandbox, "nothing-like-it")["code"] == 127


ESCAPES = {  # what it tries: a word that its output must have; none may have a word of the machine's
    "the environment": ("env; set", "HOME=/home/user|PWD=/home/user"),
    "the process's environment": ("cat /proc/self/environ", "No such file"),
    "the parent's environment": ("cat /proc/$PPID/environ", "No such file"),
    "a file of the machine": ("cat /etc/shadow", "No such file"),
    "its users": ("cat /etc/passwd", "/home/user"),
    "AWS's files of credentials": ("cat ~/.aws/credentials /root/.aws/credentials", "No such file"),
    "the function's code": ("ls /var/task /opt", "cannot access"),
    "a way out of a folder": ("cat ../../../../../../etc/shadow", "No such file"),
    "a symbolic link": ("ln -s /etc/shadow x; cat x", "No such file"),
    "a link to itself": ("ln -s loop loop; cat loop", "loop"),
    "the address of the metadata": (
        "curl -s http://169.254.169.254/latest/; echo $?",
        "network access not configured|1",
    ),
    "another client": ("wget -qO- http://127.0.0.1:8080/", "network access not configured"),
    "a socket": ("exec 3<>/dev/tcp/127.0.0.1/80; cat <&3", "/dev/tcp"),
    "a name": ("nslookup example.com; ping -c1 example.com; ssh example.com", "command not found"),
    "a program of the machine": ("/usr/bin/python3 -c 'print(1)'; /bin/busybox", "No such file|not found"),
    "another interpreter": ("python3 -c 'print(1)' || node -e 1 || perl -e 1", "command not found"),
    "awk's system": ("awk 'BEGIN { system(\"cat /etc/shadow\") }'", "ended its interpreter"),
    "awk's files": ('awk \'BEGIN { while ((getline l < "/proc/self/environ") > 0) print l; print "end" }\'', "end"),
    "find's exec": ("touch f; find . -name f -exec cat /etc/shadow ';'", "No such file"),
    "xargs": ("echo /etc/shadow | xargs cat", "No such file"),
    "signals": ("kill -9 1; kill -9 $PPID; echo alive", "alive|"),
    "a device": ("cat /dev/mem /dev/sda /dev/kmsg", "No such file"),
    "root": ("sudo id || su -c id || id -u", "1000|not found"),
    "limits": ("ulimit -a; ulimit -n 100000; echo end", "end"),
    "the end of its braces": ("true; } < /etc/shadow; { cat", "No such file|parse error"),
    "a fork bomb": (":(){ :|:& };:; echo end", "end|limit"),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_escape(sandbox: Runtime, name: str) -> None:
    command, wanted = ESCAPES[name]
    answer = run(sandbox, command, "one\n" if name == "the end of its braces" else "")
    said = answer.get("stdout", "") + answer.get("stderr", "") + answer.get("message", "")
    assert any(word in said for word in wanted.split("|")), answer
    assert not any(word in said for word in ("root:", "AWS_", "SW_", "LAMBDA", "def handler"))


@pytest.mark.parametrize(
    ("command", "errors"),
    [
        ("sleep 60", {"Timeout"}),
        ("while true; do sleep 0.01; done", {"Timeout"}),
        ("while true; do :; done", {"LimitExceeded"}),
        ("f() { f; }; f", {"LimitExceeded"}),
        ("x=a; while true; do x=$x$x; done", {"MemoryExceeded"}),
        ("dd if=/dev/zero of=big bs=1M count=500", {"MemoryExceeded"}),
        (
            "for i in $(seq 1 50000); do echo line $i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
            {"OutputTooLarge"},
        ),
    ],
)
def test_a_bomb(sandbox: Runtime, command: str, errors: set[str]) -> None:
    answer = run(sandbox, command, seconds=0.6 if "Timeout" in errors else 20)
    assert answer.get("error") in errors, answer


@pytest.mark.parametrize(
    "command",
    [
        "awk 'BEGIN { while (1) x++ }'",
        "grep -E '(a+)+$' <<< " + "a" * 40 + "b",
        "yes | head -c 500000000 | wc -c",
        "printf 'a%.0s' {1..100000000} | wc -c",
        "jq -n '[range(1e9)] | length'",
        "seq 1 1000000000 | tail -1",
    ],
)
def test_a_bomb_that_bursts_in_silence(sandbox: Runtime, command: str) -> None:
    answer = run(sandbox, command, seconds=2)
    assert len(answer.get("stdout", "")) < 100


def test_none_sees_what_another_has_left(sandbox: Runtime) -> None:
    run(sandbox, "echo left > left; echo left > /tmp/left; export LEFT=1; alias ls=cat; cd /tmp")
    answer = run(sandbox, "ls -A; ls -A /tmp; echo ${LEFT:-none}; pwd", "in")
    assert answer["stdout"] == ".stdin\nnone\n/home/user\n"
