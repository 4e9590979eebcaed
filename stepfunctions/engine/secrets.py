"""The secrets that a node's templates read: opened for one run of it, and kept out of all that is recorded of it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from shared.errors import AppError, NotFound
from shared.expressions.template import expressions, is_template
from shared.nodes.base import NodeError
from shared.nodes.world import World
from stepfunctions.plan import BoundNode

HIDDEN: Final = "[secret]"
_KIND: Final = "secret"
_SHORTEST: Final = 6  # of the forms that are looked for beside the value itself
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*(://|%3A%2F%2F)", re.IGNORECASE)
_BEGINNING: Final = 8  # characters: so much of a secret is hidden, too, where a text was cut before it was looked at


class Secrets:
    """Secrets by name, as the scope of expressions has them; and what hides them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        # The longest first: one secret may be a part of another.
        self._forms = sorted({form for v in values.values() for form in _forms(v)}, key=len, reverse=True)
        starts = {re.escape(start) for form in self._forms if len(start := _start(form)) < len(form)}
        self._starts = re.compile("|".join(starts)) if starts else None

    def hide(self, value: Any, *, cut: bool = False) -> Any:
        """The value without any of the secrets, wherever in it one stands, also encoded as requests and files do.

        `cut`: its texts, which are for people, may have been cut; what is left of a secret there is hidden, too.
        """
        if not self._forms:
            return value
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, HIDDEN)
            return self._without_beginnings(value) if cut else value
        if isinstance(value, Mapping):
            return {self.hide(k, cut=cut): self.hide(v, cut=cut) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide(v, cut=cut) for v in value]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return HIDDEN if is_number and str(value) in self._forms else value

    def _without_beginnings(self, text: str) -> str:
        if self._starts is None:
            return text
        parts, done = list[str](), 0
        while found := self._starts.search(text, done):
            at = found.start()
            parts += (text[done:at], HIDDEN)
            done = at + max(_alike(form, text[at : at + len(form)]) for form in self._forms)
        return "".join((*parts, text[done:]))

    def hide_error(self, error: NodeError) -> NodeError:
        """The same failure in words that hold no secret."""
        if not self._forms:
            return error
        said = self.hide(error.message, cut=True)
        if error.error == "ExpressionError":  # its words may hold what the expression has made of a secret
            said = "an expression failed; what it says is not shown, for this node reads secrets"
        return NodeError(error.error, said, retry_after=error.retry_after, retryable=error.retryable)

    def shown(self, template: Any, rendered: Any) -> Any:
        """A typed input as it is recorded: `HIDDEN` in place of each template in it that reads a secret."""
        if not self._forms:
            return rendered
        if is_template(template):
            return HIDDEN if any(_may_read(e) for e in expressions(template)) else self.hide(rendered)
        if isinstance(template, Mapping):
            return {k: self.shown(v, rendered[k]) for k, v in template.items()}
        if isinstance(template, (list, tuple)):
            return [self.shown(v, r) for v, r in zip(template, rendered, strict=True)]
        return self.hide(rendered)


def _start(form: str) -> str:
    """So much of a secret that nothing else begins like it; of an address, more than its scheme."""
    scheme = _SCHEME.match(form)
    return form[: (scheme.end() if scheme else 0) + _BEGINNING]


NONE: Final = Secrets({})


def reads_secrets(node: BoundNode) -> bool:
    """Whether its templates name any; a disabled node's are not evaluated."""
    return not node.disabled and any(name[0] == "secrets" for name in node.names)


async def opened(node: BoundNode, world: World) -> Secrets:
    """The secrets that the node names. Raises NodeError CredentialNotFound, WrongCredential, Unavailable."""
    names = sorted({name[1] for name in node.names if name[0] == "secrets"})
    return Secrets({name: await asyncio.to_thread(_open, world, name) for name in names})


def _open(world: World, name: str) -> str:
    try:
        found = world.credentials.open(name)
    except NotFound:
        raise NodeError("CredentialNotFound", f"there is no credential {name}", retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
    if found.kind != _KIND:
        message = f"secrets.{name}: the credential is of the kind {found.kind}; only those of the kind secret are read"
        raise NodeError("WrongCredential", message, retryable=False)
    return str(found.values["value"])


def _may_read(expression: str) -> bool:
    r"""Whether an expression may name `secrets`: written out, or as a text with escapes (`"\u0073ecrets"`)."""
    return "secrets" in expression or "\\" in expression


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    differ = (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _forms(value: str) -> Iterator[str]:
    """How a value may stand in what a service answers: as it is, in a URL, in JSON, in base64 at any offset."""
    yield value
    encoded = value.encode(errors="surrogatepass")
    found = [quote(encoded, safe=""), quote(encoded), quote_plus(encoded), json.dumps(value)[1:-1]]
    for before in range(3):
        # The first and the last characters depend on what stands around the value.
        text = base64.b64encode(b"\0" * before + encoded).decode().rstrip("=")
        whole = text[(0, 2, 3)[before] : (before + len(encoded)) * 8 // 6]
        found += [whole, whole.translate(str.maketrans("+/", "-_"))]
    yield from (form for form in found if len(form) >= _SHORTEST)
