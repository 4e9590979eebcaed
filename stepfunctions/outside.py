"""The outside as one tenant's nodes see it: `shared.nodes.world.World` over the stores and the settings.

Each thing is opened, and its modules are imported, when a node asks for it: most nodes ask for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from shared.log import logger
from shared.nodes.base import Call
from shared.nodes.world import (
    Aws,
    Cache,
    Collections,
    Credential,
    Credentials,
    Files,
    Graphs,
    Resources,
    Response,
    Sandbox,
    Threads,
    Workflows,
)
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from stepfunctions.engine.world import NodeLog


class Outside(NodeLog):
    """The world of one node run of one tenant, in the run `execution_id`."""

    def __init__(self, tenant: Tenant, execution_id: str) -> None:
        super().__init__()
        self._tenant = tenant
        self._execution = execution_id

    def instead(self, node_id: str, call: Call) -> None:
        """Nothing stands in for a node of a run."""
        del node_id, call

    def announce(self, node_id: str, level: str, characters: int) -> None:
        """A line about the node's line in the function's log, where an operator can look and be alarmed."""
        facts = {"tenant_id": self._tenant.id, "execution_id": self._execution, "node_id": node_id}
        getattr(logger("nodes"), level)("node log", **facts, characters=characters)

    @property
    def openai_base_url(self) -> str:
        """The platform's OpenAI-compatible endpoint; empty is OpenAI's own."""
        return settings().openai_base_url

    @property
    def openai_api_key(self) -> str:
        """Its key."""
        return settings().openai_api_key

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`host:port` that nodes may reach although the address is private."""
        return settings().private_hosts

    @cached_property
    def cache(self) -> Cache:
        """The tenant's cache."""
        from shared.cache.store import CacheStore

        return CacheStore(TenantTable(self._tenant))

    @cached_property
    def files(self) -> Files:
        """The tenant's files."""
        from shared.files.store import FileStore

        return FileStore(TenantTable(self._tenant), self._execution)

    @cached_property
    def credentials(self) -> Credentials:
        """The tenant's credentials."""
        from shared.credentials.access import OpenCredentials
        from shared.credentials.store import CredentialStore

        return OpenCredentials(CredentialStore(TenantTable(self._tenant)), self.allowed_hosts)

    @cached_property
    def collections(self) -> Collections:
        """The tenant's collections."""
        from shared.collections.opened import TenantCollections

        return TenantCollections(self._tenant)

    @cached_property
    def resources(self) -> Resources:
        """The tenant's tools, MCP servers and agents."""
        from shared.resources.store import ResourceStore

        return ResourceStore(TenantTable(self._tenant))

    @cached_property
    def threads(self) -> Threads:
        """The tenant's threads."""
        from shared.threads.in_run import RunThreads
        from shared.threads.store import ThreadStore

        return RunThreads(ThreadStore(TenantTable(self._tenant), self._execution), self._execution)

    @cached_property
    def process_threads(self) -> Threads:
        """The tenant's threads in this process's memory."""
        from shared.threads.process import threads_of

        return threads_of(self._tenant)

    @cached_property
    def workflows(self) -> Workflows:
        """The tenant's workflows."""
        from stepfunctions.short_runs import ShortRuns

        return ShortRuns(self._tenant)

    @property
    def mcp_commands(self) -> Mapping[str, Sequence[str]]:
        """The commands that an operator lets MCP servers be started with, by their names."""
        from shared.mcp.commands import commands

        return commands(settings().mcp_stdio)

    def aws(self, service: str, credential: Credential | None, *, timeout: float, attempts: int = 3) -> Aws:
        """A service of the account that the credential opens; without one, the platform's Bedrock where it is on."""
        from shared.aws.foreign import foreign, own
        from shared.outbound.aws import NOT_CONFIGURED, AwsFailed

        if credential is not None:
            return foreign(service, credential.values, self.allowed_hosts, timeout=timeout, attempts=attempts)
        if service != "bedrock-runtime" or settings().bedrock != "on":
            raise AwsFailed(NOT_CONFIGURED, "give the node a credential of the kind aws")
        return own(service, timeout=timeout, attempts=attempts)

    @cached_property
    def graphs(self) -> Graphs:
        """The tenant's graphs."""
        from shared.graphs.service import GraphService
        from shared.graphs.store import GraphStore

        return GraphService(GraphStore(TenantTable(self._tenant)))

    @cached_property
    def sandbox(self) -> Sandbox:
        """Where tenants' code runs: it knows no tenant."""
        from shared.sandbox.remote import SandboxFunction

        return SandboxFunction(settings().sandbox_arn)

    def notify(self, to: Sequence[str], title: str, message: str, *, key: str) -> int:
        """Tell users of the tenant something, in the application."""
        from shared.notifications.service import tell

        return tell(self._tenant, to, title, message, key=key, execution_id=self._execution)

    def respond(self, response: Response) -> None:
        """Answer the request that started the run, unless that is done."""
        from stepfunctions.responses import respond

        respond(self._tenant, self._execution, response)
