"""The environment of a function, read in this one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache


@dataclass(frozen=True, slots=True)
class Settings:
    """What the template hands a function. A field `table` is the environment variable `SW_TABLE`, and so on.

    A function gets only the variables that it needs; the others are empty strings.
    """

    table: str = ""
    data_bucket: str = ""  # plans and payloads
    files_bucket: str = ""  # tenants' files
    vector_bucket: str = ""  # Amazon S3 Vectors; empty: collections are embedded
    kms_key: str = ""
    tenant_role_arn: str = ""  # the one role for tenant-scoped data access, assumed with the session tag TenantID
    states_role_arn: str = ""  # the role every state machine runs under
    machine_prefix: str = ""  # state machines are named <prefix><hash of the definition>
    express: str = ""  # `off`: every run begins as a Standard execution
    runner_arn: str = ""
    documents_arn: str = ""  # the runner that has the heavy libraries as well
    tasks_arn: str = ""
    dispatcher_arn: str = ""
    scheduler_group: str = ""
    scheduler_role_arn: str = ""
    schedule_dead_letters_arn: str = ""  # the queue for calls of the dispatcher that Scheduler gives up
    bus: str = ""  # the event bus
    deliveries_queue: str = ""  # the address of the queue of webhooks to deliver
    user_pool_id: str = ""
    user_pool_client_id: str = ""
    jwks_url: str = ""  # where the user pool's keys are read; empty: at the pool's own address
    signups_per_hour: str = ""  # per IP address; empty: the default in shared.limits
    logins_per_hour: str = ""  # likewise
    api_url: str = ""  # where the HTTP API is reached from outside; webhook addresses start with it
    websocket_url: str = ""  # where the WebSocket API's management calls go (https://…)
    allowed_hosts: str = ""  # comma separated host:port that nodes may reach although they are private
    mcp_stdio: str = ""  # MCP servers that are commands, see shared.mcp.commands; empty: none
    sandbox_arn: str = ""  # the function that runs tenants' code
    library_path: str = ""  # LD_LIBRARY_PATH: where Python's own libraries are, which a box needs too
    openai_base_url: str = ""
    openai_api_key: str = ""
    bedrock: str = ""  # `on`: nodes without a credential may use Bedrock's models in the platform's account

    @property
    def private_hosts(self) -> frozenset[str]:
        """`allowed_hosts`, one by one."""
        return frozenset(h.strip() for h in self.allowed_hosts.split(",") if h.strip())

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Settings from an environment. OPENAI_* and LD_LIBRARY_PATH keep the names that others gave them."""
        values = {f.name: environ.get(f"SW_{f.name.upper()}", "") for f in fields(cls)}
        values["openai_base_url"] = environ.get("OPENAI_BASE_URL", "")
        values["openai_api_key"] = environ.get("OPENAI_API_KEY", "")
        values["library_path"] = environ.get("LD_LIBRARY_PATH", "")
        return cls(**values)


@cache
def settings() -> Settings:
    """The settings of this process. Tests that change the environment call `settings.cache_clear()`."""
    return Settings.read(os.environ)
