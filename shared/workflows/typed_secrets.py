"""Texts in a document that look like secrets: somebody has typed in what should be a credential.

It finds accidents — keys of well-known shapes, headers that carry one — and no intent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.expressions.template import is_template

_SECRET: Final = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|sw_t[0-9A-Z]{26}_\S+|AIza[0-9A-Za-z_-]{30,})|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})


def secret_texts(value: Any, path: str = "") -> Iterator[str]:
    """Where in a value texts stand that look like secrets."""
    for where, name, text in _texts(value, path, ""):
        header = name.casefold() in _SECRET_HEADERS and text and not is_template(text)
        if header or _SECRET.search(text):
            yield where


def in_document(document: Mapping[str, Any]) -> list[str]:
    """Where in a workflow's document they stand."""
    nodes = {n["id"]: [n["config"], n["inputs"]] for n in document["nodes"]}
    return [*secret_texts(nodes, "nodes"), *secret_texts(document["variables"], "variables")]


def _texts(value: Any, path: str, name: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}".lstrip("."), str(key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _texts(each, f"{path}.{at}", name)
