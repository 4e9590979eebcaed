"""Every key of the single table, built here and nowhere else.

| what | PK | SK | GSI1 | GSI2 (sparse, keys only) |
| --- | --- | --- | --- | --- |
| tenant | `T#t#TENANT` | `META` | | |
| member | `T#t#MEMBERS` | `us_…` | | |
| user type | `T#t#USERTYPES` | `ut_…` | | |
| API key | `T#t#KEYS` | `key_…` | | |
| rate window | `T#t#RATE#<window>` | `RATE` | | |
| idempotency key | `T#t#IDEM#<digest>` | `IDEM` | | |
| cached value | `T#t#CACHE#<digest>` | `VALUE` | | |
| cache writes in a window | `T#t#CACHED#<window>` | `RATE` | | |
| files in use | `T#t#FILESUSED` | `META` | | |
| credential | `T#t#CREDENTIALS` | `<name>` | | |
| workflow summary | `T#t#WFS` | `wf_…` | | |
| draft, versions | `T#t#WF#wf` | `DRAFT`, `V#000007` | | |
| machine known | `T#t#WF#wf` | (in the version) | | |
| run | `T#t#EX#ex` | `META` | `T#t#WFEX#wf` / `ex_…` | `SWEEP#<shard>` / next check |
| journal | `T#t#EX#ex` | `J#<scope>#…` | | |
| lots of a distributed loop | `T#t#EX#ex` | `L#<loop>#000007` | | |
| event | `T#t#EX#ex` | `E#<sequence>` | | |
| task | `T#t#TASKS` | `tk_…` | `T#t#TASKS#<status>` / `tk_…` | `SWEEP#<shard>` / due |
| a run's tasks | `T#t#EX#ex` | `TASK#tk_…` | | |
| a run's children | `T#t#EX#ex` | `CHILD#ex_…` | | `SWEEP#<shard>` / next check |
| park (pause) | `T#t#EX#ex` | `PARK#<state>` | | |
| webhook | `T#t#HOOKS` | `wh_…` | | |
| collection | `T#t#COLLECTIONS` | its name | | |
| number of collections | `T#t#COLLECTIONCOUNT` | `COUNT` | | |
| schedule | `T#t#SCHEDULES` | `sch_…` | | |
| graph | `T#t#GRAPHS` | its name | | |
| resource (tool, MCP server, agent) | `T#t#RES#<kind>` | `<name>` | | |
| its versions, what was found of it | `T#t#RES#<kind>#<name>` | `V#000007`, `FOUND` | | |
| thread | `T#t#THREADS` | its id | | |
| its messages, what was appended | `T#t#THREAD#<id>` | `M#<made>#00000007`, `A#<digest>` | | |
| notification | `T#t#NOTES#<user or key>` | `nt_…` | | |
| turn of a chat | `T#t#TURN#<digest>` | `TURN` | | |
| subscription | `T#t#SUBS` | `<type>#wf_…#<node>` | | |
| known file | `T#t#FILE#<digest>` | `KNOWN` | | |
| answer of a run | `T#t#EX#ex` | `RESPONSE` | | |
| channel subscriber | `T#t#CHAN#<channel>` | `<connection>` | | |
| directory | `USER#<sub>`, `HOOK#<wh>`, `WS#<connection>` | `META` | | |
| rate window of an address | `RATE#<digest>#<window>` | `RATE` | | |

`t` is a tenant's id. Whatever belongs to a tenant has a partition key that starts with `T#t#`, in the index too:
the policy of the data role holds it against the session's tag (dynamodb:LeadingKeys).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from shared.tenancy import Tenant

SWEEP_SHARDS: Final = 4
CHILD: Final = "CHILD#"


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key."""

    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """The keys of one tenant's things."""

    tenant: Tenant

    @property
    def prefix(self) -> str:
        """What every partition key of this tenant starts with."""
        return f"T#{self.tenant.id}#"

    def tenant_meta(self) -> Key:
        """The tenant itself."""
        return Key(f"{self.prefix}TENANT", "META")

    def members(self) -> str:
        """Partition of the tenant's users."""
        return f"{self.prefix}MEMBERS"

    def user_types(self) -> str:
        """Partition of the tenant's user types."""
        return f"{self.prefix}USERTYPES"

    def api_keys(self) -> str:
        """Partition of the tenant's API keys."""
        return f"{self.prefix}KEYS"

    def rate(self, window: int) -> Key:
        """Counter of the requests in one window."""
        return Key(f"{self.prefix}RATE#{window}", "RATE")

    def idempotency(self, key_digest: str) -> Key:
        """What a request with an Idempotency-Key, a delivery or a scheduled instant has led to."""
        return Key(f"{self.prefix}IDEM#{key_digest}", "IDEM")

    def cached(self, key_digest: str) -> Key:
        """A value in the tenant's cache. A partition each: keys that many runs read do not slow down others."""
        return Key(f"{self.prefix}CACHE#{key_digest}", "VALUE")

    def cache_writes(self, window: int) -> Key:
        """Counter of what was written into the cache in one window."""
        return Key(f"{self.prefix}CACHED#{window}", "RATE")

    def files_used(self) -> Key:
        """How much the tenant's files take, as last counted and reserved since."""
        return Key(f"{self.prefix}FILESUSED", "META")

    def credentials(self) -> str:
        """Partition of credentials, by name."""
        return f"{self.prefix}CREDENTIALS"

    def workflows(self) -> str:
        """Partition of workflow summaries, by id."""
        return f"{self.prefix}WFS"

    def workflow(self, workflow_id: str) -> str:
        """Partition of one workflow's draft and versions."""
        return f"{self.prefix}WF#{workflow_id}"

    @staticmethod
    def version_sk(version: int) -> str:
        """Sort key of a published version; sorts numerically."""
        return f"V#{version:06d}"

    def run(self, execution_id: str) -> Key:
        """A run's own record; its partition also holds the journal and the events."""
        return Key(f"{self.prefix}EX#{execution_id}", "META")

    def runs_of(self, workflow_id: str) -> str:
        """GSI1 partition: a workflow's runs, by id (so by time)."""
        return f"{self.prefix}WFEX#{workflow_id}"

    def tasks(self) -> str:
        """Partition of human tasks."""
        return f"{self.prefix}TASKS"

    def task_of_run(self, execution_id: str, task_id: str = "") -> Key:
        """The mark of a task in its run's partition; without a task id, what all of the run's marks start with."""
        return Key(self.run(execution_id).pk, f"TASK#{task_id}")

    def child_of_run(self, execution_id: str, child_id: str = "") -> Key:
        """What a run keeps of a child; without a child's id, what all of them start with."""
        return Key(self.run(execution_id).pk, f"{CHILD}{child_id}")

    def tasks_with(self, status: str) -> str:
        """GSI1 partition: tasks of one status."""
        return f"{self.prefix}TASKS#{status}"

    def hooks(self) -> str:
        """Partition of webhooks."""
        return f"{self.prefix}HOOKS"

    def collections(self) -> str:
        """Partition of collections, by name."""
        return f"{self.prefix}COLLECTIONS"

    def collection_count(self) -> Key:
        """How many collections there are."""
        return Key(f"{self.prefix}COLLECTIONCOUNT", "COUNT")

    def schedules(self) -> str:
        """Partition of schedules."""
        return f"{self.prefix}SCHEDULES"

    def resources(self, kind: str) -> str:
        """Partition of the tenant's named things of a kind, by name."""
        return f"{self.prefix}RES#{kind}"

    def resource(self, kind: str, name: str) -> str:
        """Partition of one named thing's versions, and of what was found of it."""
        return f"{self.prefix}RES#{kind}#{name}"

    def threads(self) -> str:
        """Partition of threads, by id."""
        return f"{self.prefix}THREADS"

    def thread(self, thread_id: str) -> str:
        """Partition of one thread's messages."""
        return f"{self.prefix}THREAD#{thread_id}"

    @staticmethod
    def message_sk(made_at: int, number: int | None = None) -> str:
        """Sort key of a message in the thread made then; without a number, what all of them start with."""
        return f"M#{made_at:013d}#" + ("" if number is None else f"{number:08d}")

    @staticmethod
    def append_sk(key_digest: str) -> str:
        """Sort key of the mark that something was appended."""
        return f"A#{key_digest}"

    def notifications(self, owner_id: str) -> str:
        """Partition of what one user, or one API key, was told."""
        return f"{self.prefix}NOTES#{owner_id}"

    def turn(self, thread_digest: str) -> Key:
        """Which run has a chat's thread."""
        return Key(f"{self.prefix}TURN#{thread_digest}", "TURN")

    def subscriptions(self) -> str:
        """Partition of what the published workflows listen for."""
        return f"{self.prefix}SUBS"

    def known_file(self, path_digest: str) -> Key:
        """What is known of a file."""
        return Key(f"{self.prefix}FILE#{path_digest}", "KNOWN")

    def response_of_run(self, execution_id: str) -> Key:
        """What a run has answered to the request that started it."""
        return Key(self.run(execution_id).pk, "RESPONSE")

    def graphs(self) -> str:
        """Partition of graphs, by name."""
        return f"{self.prefix}GRAPHS"

    def channel(self, channel: str) -> str:
        """Partition of a channel's subscribers."""
        return f"{self.prefix}CHAN#{channel}"


def user_directory(subject: str) -> Key:
    """Which tenant a Cognito subject belongs to."""
    return Key(f"USER#{subject}", "META")


def rate_of_address(mark: str, window: int) -> Key:
    """Counter of the public calls of one address, given as a digest, in one window."""
    return Key(f"RATE#{mark}#{window}", "RATE")


def hook_directory(webhook_id: str) -> Key:
    """Which tenant a webhook belongs to."""
    return Key(f"HOOK#{webhook_id}", "META")


def connection(connection_id: str) -> Key:
    """A WebSocket connection: its tenant and channels."""
    return Key(f"WS#{connection_id}", "META")


def sweep_shard(thing_id: str) -> str:
    """GSI2 partition in which the sweeper looks for this thing."""
    return f"SWEEP#{zlib.crc32(thing_id.encode()) % SWEEP_SHARDS}"


def sweep_shards() -> list[str]:
    """Every partition in which the sweeper looks."""
    return [f"SWEEP#{n}" for n in range(SWEEP_SHARDS)]


def execution_of(partition_key: str) -> str | None:
    """The run whose partition this is, or None."""
    parts = partition_key.split("#", 3)
    return parts[3] if len(parts) == 4 and parts[2] == "EX" else None


def journal_prefix(scope: str) -> str:
    """Sort keys of the journal of one scope: `""` is the workflow, `each/3` iteration 3 of the loop `each`."""
    return f"J#{scope}#"


def lots_prefix(loop: str) -> str:
    """Sort keys of the lots of a distributed loop."""
    return f"L#{loop}#"
