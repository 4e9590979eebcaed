"""Human tasks of a single run, put to whoever sits at the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from shared import strict_json
from shared.errors import BadRequest
from shared.nodes.json_schemas import faults
from shared.tasks.model import DECISIONS, Shown, Task

_WORDS: Final = "approve, reject or submit"


class Unanswered(Exception):
    """Nobody is there to answer."""


def ask(task: Task, shown: Shown) -> dict[str, Any]:
    """`{decision, data, comment}` as somebody types it. Raises Unanswered where there is no terminal."""
    if not sys.stdin.isatty():
        raise Unanswered(
            f"the run waits for an answer to {task.node_id}, and there is no terminal to ask at: "
            f"give --answer {task.node_id}=approve, or {task.node_id}=null to let its time run out"
        )
    _say(f"\n{task.node_id}: {task.title}")
    for text in (shown.instructions, *(_json(v) for v in (shown.data, shown.form) if v is not None)):
        if text:
            _say(f"  {text}")
    decision = _line(task, f"decision ({_WORDS}): ")
    while decision not in DECISIONS:
        decision = _line(task, f"one of {_WORDS}: ")
    data = _data(task, shown)
    return {"decision": decision, "data": data, "comment": _line(task, "comment (may be empty): ") or None}


def _data(task: Task, shown: Shown) -> dict[str, Any]:
    while True:
        text = _line(task, "data, as a JSON object (may be empty): ") or "{}"
        try:
            data = strict_json.loads(text.encode(errors="surrogatepass"))
        except BadRequest as error:
            _say(error.detail.replace("the body", "it", 1))
            continue
        wrong = faults(data, shown.form or {"type": "object"})
        if isinstance(data, dict) and not wrong:
            return data
        _say("; ".join(wrong) or "it is no object")


def _line(task: Task, prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise Unanswered(f"the run waits for an answer to {task.node_id}, and the terminal was closed")
    return line.strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
