"""The HTTP API. Adding a noun adds one file and touches no other.

`routes/api_keys.py` serves `/api/v1/api-keys` and what is below it; a noun with many routes is a folder instead:
every file in `routes/workflows/` serves something at or below `/api/v1/workflows`. Each file has a `router`.

A noun is imported when the first request for it comes. FastAPI takes a millisecond or two for each route, so a cold
start that built all of them would spend most of its time on routes that the request does not need.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.api import problems, routes
from functions.api.frame import Frame

PREFIX: Final = "/api/v1"


class Nouns:
    """The files and folders of `routes/`, by the first word of the paths they serve; each is mounted once.

    `waiting` holds those that are not mounted yet: the word, and the module's name.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._one = Lock()  # the first requests for a noun may come together where a process takes several
        self.waiting = {m.name.replace("_", "-"): m.name for m in iter_modules(routes.__path__)}

    def mount(self, noun: str) -> None:
        """Make a noun's routes answer, if there is such a noun and they do not yet."""
        if noun in self.waiting:
            with self._one:
                self._mount(noun)

    def _mount(self, noun: str) -> None:
        name = self.waiting.get(noun)
        if name is None:
            return
        module = import_module(f"{routes.__name__}.{name}")
        files = [import_module(f"{module.__name__}.{m.name}") for m in iter_modules(getattr(module, "__path__", []))]
        every = APIRouter()
        for file in files or [module]:
            every.routes += file.router.routes
        every.routes.sort(key=_order)
        self._app.include_router(every, prefix=PREFIX, responses=problems.RESPONSES)
        del self.waiting[noun]  # last: a noun whose import failed is tried again

    def mount_all(self) -> None:
        """Mount every noun, for the OpenAPI document."""
        for noun in sorted(self.waiting):
            self.mount(noun)


class MountOnDemand:
    """ASGI middleware: mounts the noun that a path names before the path is routed."""

    def __init__(self, app: ASGIApp, nouns: Nouns) -> None:
        self._app = app
        self._nouns = nouns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX + "/"):
            self._nouns.mount(scope["path"].removeprefix(PREFIX + "/").split("/")[0])
        await self._app(scope, receive, send)


def _order(route: BaseRoute) -> list[tuple[bool, str]]:
    """Fixed words before parameters, so `/workflows/nodes` is not taken for the workflow "nodes"."""
    return [(part.startswith("{"), part) for part in getattr(route, "path", "{").split("/")]


def _operation_id(route: APIRoute) -> str:
    """`users_invite`: clients generated from the document name their methods by it."""
    noun = str(route.tags[0]) if route.tags else "api"
    return f"{noun.replace('-', '_')}_{route.name}"


def build() -> FastAPI:
    """A new app. Its nouns come with the requests for them, and all of them with its OpenAPI document."""
    app = FastAPI(
        title="Statewright",
        version="1",
        description="AI workflows, compiled to AWS Step Functions.",
        redirect_slashes=False,
        # Beside this document: the API may lie below a path (a stage with a name, the local AWS).
        servers=[{"url": "."}],
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False},
    )
    nouns = Nouns(app)
    app.add_middleware(MountOnDemand, nouns=nouns)
    app.add_middleware(Frame)  # added last, so it is outermost
    problems.install(app)
    document = app.openapi

    def complete() -> dict[str, Any]:
        nouns.mount_all()
        made = document()
        made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        return made

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="openapi.json", title=app.title)

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


app = build()
