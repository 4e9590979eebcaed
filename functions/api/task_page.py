"""A task as a plain page, for whoever follows a link in a mail: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

from shared.clock import iso
from shared.errors import AppError
from shared.task_links.service import Opened

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_MOST_DATA: Final = 100_000  # characters of the data on the page
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow:auto;white-space:pre-wrap}"
    "textarea{width:100%;box-sizing:border-box}button{padding:.5rem 1.5rem;margin-right:1rem}"
)


def task(opened: Opened) -> HTMLResponse:
    """The task, and a form to answer it that posts to the page's own address."""
    shown, asked = opened.shown, opened.task
    parts = [f"<p>{escape(asked.workflow_name)}</p>"]
    if shown.instructions:
        parts.append(f"<p style='white-space:pre-wrap'>{escape(shown.instructions)}</p>")
    if shown.data is not None:
        text = json.dumps(shown.data, ensure_ascii=False, indent=2)
        cut = "\n…" if len(text) > _MOST_DATA else ""
        parts.append(f"<pre>{escape(text[:_MOST_DATA])}{cut}</pre>")
    if asked.status == "open":
        parts.append(_form(opened))
    else:
        parts.append("<p>This task is closed.</p>")
    return _page(asked.title, "".join(parts), 200)


def _form(opened: Opened) -> str:
    data = ""
    if opened.shown.form is not None:
        schema = json.dumps(opened.shown.form, ensure_ascii=False, indent=2)
        data = (
            "<p><label>Data (JSON)<br><textarea name='data' rows='6'>{}</textarea></label></p>"
            f"<details><summary>What the data must fit</summary><pre>{escape(schema)}</pre></details>"
        )
    return (
        f"<form method='post'>{data}"
        "<p><label>Comment<br><textarea name='comment' rows='3' maxlength='10000'></textarea></label></p>"
        "<p><button name='decision' value='approve'>Approve</button>"
        "<button name='decision' value='reject'>Reject</button></p></form>"
        f"<p>The link works once, until {escape(iso(opened.link.expires_at))}.</p>"
    )


def thanks(opened: Opened) -> HTMLResponse:
    """After an answer."""
    return _page(opened.task.title, "<p>Thank you. Your answer was recorded.</p>", 200)


def refused(error: AppError) -> HTMLResponse:
    """Why there is nothing to be seen, or the answer was not taken."""
    page = _page("This did not work", f"<p>{escape(error.detail)}</p>", error.status)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        page.headers["Retry-After"] = str(retry_after)
    return page


def _page(title: str, body: str, status: int) -> HTMLResponse:
    name = escape(title)
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><meta name='robots' content='noindex'>"
        f"<title>{name}</title><style>{_STYLE}</style></head><body><h1>{name}</h1>{body}</body></html>"
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status, HEADERS)
