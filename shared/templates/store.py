"""A tenant's own templates in the table; the library's are listed before them."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any, Final

from shared.errors import NotFound, PreconditionFailed, TooLarge
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, ConditionFailed, Item, Page, TenantTable
from shared.templates.library import templates
from shared.templates.model import Source, Template

MAX_BYTES: Final = 300_000  # of a deflated document with its parameters' schema; an item may have 400 KB
_LIBRARY: Final = "library:"  # what a page's last sort key begins with, while the library's are listed
_PLAIN: Final = ("id", "name", "description", "category", "version", "created_at", "updated_at", "updated_by")
_LISTED: Final = ["PK", "SK", *_PLAIN, "tags", "parameters"]


class TemplateStore:
    """One tenant's templates."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def create(self, template: Template) -> None:
        """Write a new template. Raises TooLarge."""
        self._table.create(self._key(template.id), _item(template))

    def get(self, template_id: str) -> Template:
        """One of the tenant's templates. Raises NotFound."""
        item = self._table.get(self._key(template_id), consistent=True)
        if item is None:
            raise _missing(template_id)
        return _template(item)

    def save(self, before: Template, after: Template) -> Template:
        """Write the next version of a template that is still as `before`. Raises NotFound, PreconditionFailed."""
        next_one = replace(after, version=before.version + 1)
        try:
            self._table.put(self._key(before.id), _item(next_one), Attr("version").eq(before.version))
        except ConditionFailed:
            raise self._changed(before.id) from None
        return next_one

    def remove(self, template: Template) -> None:
        """Remove a template that is still as given. Raises NotFound, PreconditionFailed."""
        try:
            self._table.delete(self._key(template.id), Attr("version").eq(template.version))
        except ConditionFailed:
            raise self._changed(template.id) from None

    def page(
        self, cursor: str | None, limit: int, source: Source | None, category: str | None, q: str
    ) -> Listing[Template]:
        """Templates without their documents: the library's by id, then the tenant's, the newest first."""
        library = [] if source == "tenant" else [_listed(t, self._keys.templates()) for t in templates().values()]

        def fetch(start: dict[str, str] | None, n: int) -> Page:
            at = start["SK"] if start else _LIBRARY
            if not at.startswith(_LIBRARY):
                return self._own(start, n)
            found = [item for item in library if item["SK"] > at][:n]
            if source == "library" or len(found) == n:
                more = bool(found) and (source != "library" or found[-1] is not library[-1])
                return Page(found, {"PK": found[-1]["PK"], "SK": found[-1]["SK"]} if more else None)
            rest = self._own(None, n - len(found))
            return Page([*found, *rest.items], rest.last)

        def keep(item: Item) -> bool:
            words = f"{item['name']}\n{item['description']}\n{' '.join(item['tags'])}".casefold()
            return category in (None, item.get("category")) and q in words

        listing = f"templates {source} {category} {q}"
        return listing_of(self._table.tenant, listing, cursor, limit, fetch, _template, keep)

    def _own(self, start: dict[str, str] | None, limit: int) -> Page:
        return self._table.query(self._keys.templates(), start=start, limit=limit, forward=False, attributes=_LISTED)

    def _changed(self, template_id: str) -> NotFound | PreconditionFailed:
        try:
            now = self.get(template_id)
        except NotFound as gone:
            return gone
        return PreconditionFailed(f"the template is at version {now.version} by now; read it again")

    def _key(self, template_id: str) -> Key:
        return Key(self._keys.templates(), template_id)


def _listed(template: Template, pk: str) -> Item:
    plain = {name: getattr(template, name) for name in _PLAIN}
    return {**plain, "PK": pk, "SK": _LIBRARY + template.id, "tags": template.tags, "parameters": template.parameters}


def _item(template: Template) -> Item:
    parameters = json.dumps(template.parameters, ensure_ascii=False)
    document = zlib.compress(json.dumps(template.document, ensure_ascii=False, separators=(",", ":")).encode())
    size = len(parameters.encode()) + len(document)
    if size > MAX_BYTES:
        message = f"a template has at most {MAX_BYTES:,} bytes, deflated; this one has {size:,}"
        raise TooLarge(message, code="document_too_large")
    plain = {name: getattr(template, name) for name in _PLAIN}
    made: Item = {name: value for name, value in plain.items() if value is not None}
    return {**made, "tags": list(template.tags), "parameters": parameters, "document": document}


def _template(item: Item) -> Template:
    plain: dict[str, Any] = {name: item.get(name) for name in _PLAIN}
    parameters, packed = item["parameters"], item.get("document")
    return Template(
        **plain,
        source="library" if item["SK"].startswith(_LIBRARY) else "tenant",
        tags=tuple(item["tags"]),
        parameters=json.loads(parameters) if isinstance(parameters, str) else parameters,
        document=json.loads(zlib.decompress(packed)) if packed else {},
    )


def _missing(template_id: str) -> NotFound:
    return NotFound(f"there is no template {template_id}")
