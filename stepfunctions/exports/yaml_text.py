"""JSON values as YAML and back. Only what JSON has is read: no aliases, tags, dates, or numbers in base 60."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from shared import strict_json
from shared.errors import BadRequest, TooLarge

MAX_BYTES: Final = 2_000_000  # of a text: reading takes about a second a megabyte
_PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    "float": (r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+0123456789."),
}


class _Loader(yaml.CSafeLoader):
    """The types of JSON, as YAML 1.2 writes them."""


class _Dumper(yaml.CSafeDumper):
    """Writes so that `_Loader`, and readers of YAML 1.1, read the same."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is written by reference."""
        del data
        return True


_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _PATTERNS.items():
    for _class in (_Loader, _Dumper):
        _starts: Any = ["" if c == "\0" else c for c in _first]
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _starts)


def dumped(value: Any) -> str:
    """A JSON value as YAML."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def loaded(body: bytes) -> Any:
    """The JSON value. Raises TooLarge; BadRequest `bad_yaml` for what is none, or has no value in JSON."""
    if len(body) > MAX_BYTES:
        raise TooLarge(f"the YAML has {len(body):,} bytes; the limit is {MAX_BYTES:,}", code="document_too_large")
    try:
        text = body.decode()
        _check(text)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a CSafeLoader with fewer types
        written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        if not _has_text_keys(value):
            raise ValueError("keys are texts")
    except (ValueError, TypeError, OverflowError, RecursionError, yaml.YAMLError) as error:
        raise BadRequest(f"the YAML cannot be read: {str(error)[:200]}", code="bad_yaml") from None
    return strict_json.loads(written)


def _check(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):  # a few characters that stand for any number: a bomb
            raise ValueError("aliases (*name) are not taken")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > strict_json.MAX_DEPTH:  # the loader, which is no Python, would take the whole process with it
            raise ValueError(f"it is nested more than {strict_json.MAX_DEPTH} levels deep")


def _has_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _has_text_keys(v) for k, v in value.items())
    return not isinstance(value, list) or all(map(_has_text_keys, value))
