"""What the command line is given: documents, values and answers, read from files and words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from shared import strict_json
from shared.errors import BadRequest
from shared.tasks.model import DECISIONS
from shared.workflows.model import Document

_FIELDS: Final = {"decision", "data", "comment"}


class Unreadable(Exception):
    """Nothing can be done with what was given; the message says why, in as many lines as it takes."""


def document(file: str, granularity: str | None) -> Document:
    """The document in a file (`-`: standard input); `granularity` stands above its own. Raises Unreadable."""
    name = "standard input" if file == "-" else file
    try:
        made = Document.model_validate(_json(_bytes(file), name))
    except ValidationError as error:
        found = [(".".join(str(part) for part in e["loc"]), e["msg"]) for e in error.errors(include_input=False)]
        lines = [f"  {path}: {message}" if path else f"  {message}" for path, message in found]
        raise Unreadable("\n".join([f"{name} is not a workflow document:", *lines])) from None
    if granularity is None:
        return made
    return made.model_copy(update={"settings": made.settings.model_copy(update={"granularity": granularity})})


def value(text: str | None) -> Any:
    """`--input`: JSON, or the JSON in `@FILE`. Raises Unreadable."""
    if text is None:
        return None
    if text.startswith("@"):
        return _json(_bytes(text[1:]), text[1:])
    return _json(text.encode(errors="surrogatepass"), "--input")


def answers(words: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """`--answer NODE=JSON`: by node, `{decision, data?, comment?}`, or None where nobody answers. Raises Unreadable.

    The bare word of a decision stands for itself.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for word in words:
        node, separator, text = word.partition("=")
        if not (node and separator):
            raise Unreadable(f"--answer {word}: it is NODE=JSON, such as ask=approve")
        found[node] = _answer(text, f"--answer {node}")
    return found


def _answer(text: str, name: str) -> dict[str, Any] | None:
    given = text if text in DECISIONS else _json(text.encode(errors="surrogatepass"), name)
    if given is None:
        return None
    if isinstance(given, str):
        given = {"decision": given}
    if not isinstance(given, dict) or set(given) - _FIELDS or given.get("decision") not in DECISIONS:
        raise Unreadable(f"{name}: an answer has a decision ({', '.join(DECISIONS)}), data and a comment, or is null")
    if not isinstance(given.get("data", {}), dict):
        raise Unreadable(f"{name}: data is an object")
    return given


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Unreadable(f"{file}: {error.strerror}") from None


def _json(body: bytes, name: str) -> Any:
    try:
        return strict_json.loads(body)
    except BadRequest as error:
        raise Unreadable(error.detail.replace("the body", name, 1)) from None
