"""The tools that come with Statewright. A tenant's tool of the same name goes before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from shared.errors import NotFound
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError

_MOST_FILES: Final = 200
_MOST_TEXT: Final = 200_000  # characters


@dataclass(frozen=True, slots=True)
class Builtin:
    """A tool: what a model is told of it, and what it does. `run` raises NodeError."""

    description: str
    input_schema: Mapping[str, Any]
    run: Callable[[Call, Mapping[str, Any]], Awaitable[Any]]


async def _calculate(call: Call, args: Mapping[str, Any]) -> Any:
    del call
    from shared.expressions import jsonata

    try:
        result = jsonata.evaluate(args["expression"], {})
    except jsonata.ExpressionFailed as error:
        raise NodeError("ExpressionError", str(error), retryable=False) from None
    return {"result": result}


async def _current_time(call: Call, args: Mapping[str, Any]) -> Any:
    del call
    from zoneinfo import ZoneInfo

    name = args.get("time_zone", "UTC")
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise NodeError("InvalidArguments", f"there is no time zone {name[:100]!r}", retryable=False) from None
    now = datetime.now(UTC).astimezone(zone)
    return {"time": now.isoformat(timespec="seconds"), "weekday": now.strftime("%A"), "time_zone": name}


async def _fetch_url(call: Call, args: Mapping[str, Any]) -> Any:
    from shared.nodes.external._exchange import exchange

    answer = await exchange(replace(call, inputs={"url": args["url"]}, config={"method": "GET"}))
    content, kind = answer["response"], answer["headers"].get("content-type", "")
    if isinstance(content, str):
        content = content[:_MOST_TEXT]
    return {"status": answer["status"], "content_type": kind, "content": content}


async def _list_files(call: Call, args: Mapping[str, Any]) -> Any:
    found, more = await ask(lambda: call.world.files.page(args.get("prefix", ""), args.get("after", ""), _MOST_FILES))
    return {"files": [{"path": f.name, "size": f.size} for f in found], "more": more}


async def _read_file(call: Call, args: Mapping[str, Any]) -> Any:
    def read() -> bytes | None:
        try:
            return call.world.files.read(args["path"])
        except NotFound:
            return None

    body = await ask(read)
    if body is None:
        raise NodeError("FileNotFound", f"there is no file {args['path'][:200]!r}", retryable=False)
    text = body.decode(errors="replace")
    return {"path": args["path"], "text": text[:_MOST_TEXT], "size": len(body), "complete": len(text) <= _MOST_TEXT}


def _arguments(*required: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(description: str, longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": description}


BUILTINS: Final[Mapping[str, Builtin]] = {
    "calculate": Builtin(
        "Calculates. Operators: + - * / %, parentheses, comparisons. Functions: $power(x, y), $sqrt(x), "
        "$round(x, digits), $abs(x), $floor(x), $ceil(x), $sum([…]), $average([…]), $max([…]), $min([…]).",
        _arguments("expression", expression=_text("Such as (17.5 * 4 - $power(2, 3)) / 7.", 2_000)),
        _calculate,
    ),
    "current_time": Builtin(
        "The date, the time and the day of the week, now.",
        _arguments(time_zone=_text("IANA name, such as Europe/Berlin. Default: UTC.", 100)),
        _current_time,
    ),
    "fetch_url": Builtin(
        "Reads a public page or JSON document from the web.",
        _arguments("url", url=_text("A full address, beginning with http:// or https://.", 2_000)),
        _fetch_url,
    ),
    "list_files": Builtin(
        "Lists the files there are, by path; 200 at a time.",
        _arguments(
            prefix=_text("What the paths begin with, such as reports/. Default: all files.", 512),
            after=_text("The last path of the list before, to go on behind it.", 512),
        ),
        _list_files,
    ),
    "read_file": Builtin(
        "Reads a file as text.",
        _arguments("path", path=_text("The file's path, as list_files gives it.", 512)),
        _read_file,
    ),
}
