"""What nodes see of the outside: protocols, so that a node type knows no store and no AWS.

Whatever blocks says so: call it off the event loop (`shared.nodes._tenant_things.ask`). Everything is the run's
tenant's own; there is no way to name another tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shared.collections.filters import Condition
    from shared.collections.model import CollectionRecord, Match, Passage
    from shared.nodes.base import Ended
    from shared.resources.model import Kind


class Found(Protocol):
    """What a cache holds under a key."""

    @property
    def value(self) -> Any:
        """The value, which may be null."""
        ...


class Cache(Protocol):
    """The tenant's cache. Its calls block: make them off the event loop."""

    def get(self, key: str) -> Found | None:
        """What the key holds, or None. Raises AppError: Invalid, Unavailable."""
        ...

    def set(self, key: str, value: Any, ttl_seconds: float | None) -> None:
        """Keep a value for so long (None: an hour). Raises AppError: Invalid, TooLarge, Unavailable."""
        ...


class FileInfo(Protocol):
    """What is known of a file without reading it."""

    @property
    def name(self) -> str:
        """Its path."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...


class Files(Protocol):
    """The tenant's files. Its calls block: make them off the event loop."""

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises AppError: Invalid, NotFound, Unavailable."""
        ...

    def page(self, begins: str, after: str, limit: int) -> tuple[Sequence[FileInfo], bool]:
        """Files whose paths begin with `begins` and come after `after`, by path; and whether there are more.

        Raises AppError: Invalid, Unavailable.
        """
        ...

    def write(self, path: str, body: bytes, content_type: str) -> str:
        """Write a file, over one that is there; gives its path as it is kept.

        Raises AppError: Invalid, TooLarge, Unavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, open. `values` are the fields of its kind (`shared.credentials.kinds`): log and return none."""

    name: str
    kind: str
    values: Mapping[str, Any] = field(repr=False)


class Credentials(Protocol):
    """The tenant's credentials."""

    def open(self, name: str) -> Credential:
        """The credential of that name. Blocks: call it off the event loop. Raises AppError: NotFound, Unavailable."""
        ...

    async def access_token(self, name: str, stale: str | None = None) -> str:
        """An access token for a credential of an OAuth2 kind, kept or fetched; another one than `stale`.

        Raises AppError: NotFound, Invalid (of another kind), TokenRefused, Unavailable.
        """
        ...


class Resources(Protocol):
    """The tenant's tools, MCP servers, agents and prompts. Its calls block: make them off the event loop."""

    def find(self, kind: Kind, named: str, version: int | None = None) -> Mapping[str, Any]:
        """The document of the thing of that name (`shared.resources.documents`), of that version (None: the newest).

        Raises AppError: NotFound.
        """
        ...


class Workflows(Protocol):
    """The tenant's workflows, as tools that are waited for. Its calls block: make them off the event loop."""

    def run(
        self, workflow_id: str, version: int | None, data: Any, *, caller: str, occasion: str, wait_seconds: float
    ) -> Ended | None:
        """How a short run has ended, started by the run `caller`; None if it has not within `wait_seconds`.

        The same `occasion` finds the same run for 24 hours. Raises AppError: NotFound, Conflict (`not_published`,
        `not_short`, `too_deep`), Invalid, Unavailable.
        """
        ...


class Threads(Protocol):
    """The tenant's threads: what was said in conversations. Its calls block: make them off the event loop."""

    def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """The last messages `{role, content}`, the oldest of them first; none where there is no such thread.

        Raises AppError: Invalid (the id), Unavailable.
        """
        ...

    def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """Add messages `{role, content}`; a thread that is not there is made. The same `key` adds nothing twice.

        Raises AppError: Invalid, TooLarge, Unavailable.
        """
        ...


class Holdings(Protocol):
    """What one collection holds. Its calls block: make them off the event loop.

    All of them raise AppError: NotFound (it was removed meanwhile), Invalid, Unavailable. `where` None: all passages.
    """

    def upsert(self, passages: Sequence[Passage]) -> int:
        """Write passages, over those of the same ids; gives how many ids there were. Raises TooLarge as well."""
        ...

    def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int:
        """Remove passages by id, and where one is given all for which `where` holds; gives how many.

        Of both only those for which `within` holds as well.
        """
        ...

    def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
        """The passages nearest to a vector, best first."""
        ...

    def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None:
        """The passages that have words of a text, best first by BM25; None where the back end has no such search."""
        ...

    def count(self, where: Condition | None) -> int:
        """How many passages there are."""
        ...


class Collections(Protocol):
    """The tenant's collections. Its calls block: make them off the event loop."""

    def find(self, name: str) -> CollectionRecord:
        """The collection of that name. Raises AppError: NotFound, Unavailable."""
        ...

    def open(self, collection: CollectionRecord) -> Holdings:
        """What a collection holds, where that is kept by us: `backend` is not `qdrant`."""
        ...


class Aws(Protocol):
    """One service of an AWS account, mostly of a tenant's own. Its calls block: make them off the event loop."""

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an operation, named as boto3's methods are (`get_item`); streams are read into bytes.

        Raises shared.outbound.aws.AwsFailed.
        """
        ...


class Graphs(Protocol):
    """The tenant's graphs. Its calls block: make them off the event loop."""

    def run(
        self, name: str, query: Any, params: Any, *, write: bool, occasion: str, seconds: float
    ) -> Sequence[Mapping[str, Any]]:
        """The rows of an openCypher query; one that writes happens once for an occasion.

        Raises GraphQueryFailed (shared.graphs.errors), and AppError: Invalid, TooLarge, Conflict (`graph_busy`: others
        are writing; `graph_lost`: it took too long to write), Unavailable.
        """
        ...


class Sandbox(Protocol):
    """The function that runs tenants' code. Its calls block: make them off the event loop."""

    def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What comes of `{language, seconds, …}` (`functions/sandbox/boxes.py`): `{error, message}` if it fails.

        Raises AppError: Invalid, TooLarge, Unavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class World(Protocol):
    """What lies outside: built by the engine for a run, replaced in tests by real things on loopback."""

    @property
    def openai_base_url(self) -> str:
        """The default OpenAI-compatible endpoint."""
        ...

    @property
    def openai_api_key(self) -> str:
        """Its key."""
        ...

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`host:port` that an operator lets http_request reach although the address is private."""
        ...

    @property
    def cache(self) -> Cache:
        """The cache of the run's tenant."""
        ...

    @property
    def files(self) -> Files:
        """The files of the run's tenant."""
        ...

    @property
    def credentials(self) -> Credentials:
        """The credentials of the run's tenant."""
        ...

    @property
    def collections(self) -> Collections:
        """The collections of the run's tenant. Only types that run in `documents` may ask for them."""
        ...

    @property
    def resources(self) -> Resources:
        """The tools, MCP servers and agents of the run's tenant."""
        ...

    @property
    def threads(self) -> Threads:
        """The threads of the run's tenant."""
        ...

    @property
    def process_threads(self) -> Threads:
        """Threads of the run's tenant in this process's own memory, gone with it."""
        ...

    @property
    def workflows(self) -> Workflows:
        """The workflows of the run's tenant."""
        ...

    @property
    def mcp_commands(self) -> Mapping[str, Sequence[str]]:
        """The commands that an operator lets MCP servers be started with, by their names."""
        ...

    def aws(self, service: str, credential: Credential | None, *, timeout: float, attempts: int = 3) -> Aws:
        """A service of the account that a credential of the kind `aws` opens; no call is made yet.

        Without a credential it is the platform's, for what the operator lets tenants use there (Bedrock's models).
        `timeout` (seconds) bounds each of the `attempts`. Raises AwsFailed NotConfigured.
        """
        ...

    @property
    def graphs(self) -> Graphs:
        """The graphs of the run's tenant."""
        ...

    @property
    def sandbox(self) -> Sandbox:
        """Where tenants' code runs."""
        ...

    def notify(self, to: Sequence[str], title: str, message: str, *, key: str) -> int:
        """Tell users of the tenant something: by id, e-mail address or user type; nobody named: all. Gives how many.

        The same `key` tells nobody twice. Blocks: call it off the event loop. Raises AppError: Invalid (a name that is
        no user's), Unavailable.
        """
        ...

    def respond(self, response: Response) -> None:
        """Answer the request that started the run, unless that is done. Blocks: call it off the event loop.

        Raises AppError: Unavailable.
        """
        ...

    def log(self, level: str, message: Any, *, node_id: str | None = None) -> None:
        """A line for the node's log, which the tenant is shown.

        With the node's id, the function's log gets one about it as well: its level and length, not the message.
        """
        ...
