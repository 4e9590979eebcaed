"""What a regular expression finds in a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._budget import Budget

_MEMORY: Final = 1_000_000  # bytes for a compiled pattern; RE2's own limit is eight times that
_STEPS: Final = 300_000_000  # characters times instructions: what RE2's slowest way of matching takes


class RegexExtract(Pure):
    """Finds all matches."""

    category = "data"
    display_name = "Extract by pattern"
    description = (
        "Finds every match of a regular expression in a text. The engine is RE2, whose time grows with the text's "
        "length only: there are no look-arounds and no back-references."
    )
    inputs = {"text": Port("string", required=True, description="The text.")}
    outputs = {
        "matches": Port(
            "array",
            description="`{text, start, end, groups, named}` for each match, in order; positions count characters, "
            "and a group that took no part is null.",
        )
    }
    config_schema = {
        "type": "object",
        "properties": {
            "pattern": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "title": "Pattern",
                "description": "A regular expression in RE2's syntax. Groups: `(…)`; with names: `(?P<name>…)`.",
            },
            "flags": {
                "type": "string",
                "pattern": "^[ims]*$",
                "maxLength": 3,
                "title": "Flags",
                "description": "`i`: case does not matter. `m`: `^` and `$` match at lines. `s`: `.` matches all.",
                "default": "",
            },
            "max_matches": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "title": "Most matches",
                "description": "Later matches are left out.",
                "default": 1_000,
            },
        },
        "required": ["pattern"],
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "ValueTooLarge", "Timeout")
    example = {
        "config": {"pattern": r"(?P<amount>\d+) (EUR|USD)"},
        "inputs": {"text": "12 EUR and 5 USD"},
        "outputs": {
            "matches": [
                {"text": "12 EUR", "start": 0, "end": 6, "groups": ["12", "EUR"], "named": {"amount": "12"}},
                {"text": "5 USD", "start": 11, "end": 16, "groups": ["5", "USD"], "named": {"amount": "5"}},
            ]
        },
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """A pattern that RE2 takes."""
        try:
            _compiled(config["pattern"], "")
        except NodeError as error:
            yield Problem("invalid_config", error.message, "config.pattern")

    # Pure: the same text and pattern always give the same matches, within a second.
    def evaluate(self, call: Call) -> Outputs:
        """The matches. Raises NodeError: InvalidInput for no text, ValueTooLarge, Timeout."""
        text, budget = call.inputs["text"], Budget()
        if not isinstance(text, str):
            raise NodeError("InvalidInput", "text is no text", retryable=False)
        pattern = _compiled(call.config["pattern"], call.config["flags"])
        if len(text) * pattern.programsize > _STEPS:
            message = f"{len(text):,} characters are too many for a pattern of {pattern.programsize:,} steps"
            raise NodeError("ValueTooLarge", message, retryable=False)
        try:
            return {"matches": list(_matches(pattern, text, call.config["max_matches"], budget))}
        except UnicodeEncodeError:
            raise NodeError("InvalidInput", "the text holds half of a surrogate pair", retryable=False) from None


def _matches(pattern: Any, text: str, most: int, budget: Budget) -> Iterator[dict[str, Any]]:
    names = pattern.groupindex
    for _, match in zip(range(most), pattern.finditer(text), strict=False):
        groups = list(match.groups())
        budget.spend(len(match[0]) + sum(len(group or "") + 1 for group in groups))
        found = {"text": match[0], "start": match.start(), "end": match.end(), "groups": groups}
        yield found | {"named": {name: match[name] for name in names}}


def _compiled(pattern: str, flags: str) -> Any:
    import re2  # compiled code; only what extracts or checks a pattern comes here

    options = re2.Options()
    options.log_errors = False  # it writes the pattern to standard error
    options.max_mem = _MEMORY
    options.case_sensitive = "i" not in flags
    inline = "".join(flag for flag in "ms" if flag in flags)
    try:
        return re2.compile(f"(?{inline}){pattern}" if inline else pattern, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error.args[0])
        raise NodeError("InvalidInput", f"the pattern does not compile: {said[:200]}", retryable=False) from None
