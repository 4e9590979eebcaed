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
| its canary, and how that goes | `T#t#WF#wf` | `CANARY`, `CANARY#cn_…#<window>` | | |
| its tests | `T#t#WF#wf` | `CASE#tc_…` | | |
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
| generation | `T#t#GEN#gen_…` | `GEN` | | |
| what a user has muted | `T#t#NOTESET` | `<user or key>` | | |
| link to a task | `T#t#TASKLINKS` | `lk_…` | `T#t#TASKLINKS#tk_…` / `lk_…` | |
| invitation | `T#t#INVITATIONS` | `inv_…` | | |
| audit log: entries, head | `T#t#AUDIT` | `N#000000000042`, `HEAD` | | |
| entries yet to be chained | `T#t#AUDITIN` | `<ulid>` | | `SWEEP#AUDIT#<shard>` / made |
| turn of a chat | `T#t#TURN#<digest>` | `TURN` | | |
| webhook subscription | `T#t#WHSUBS` | `whs_…` | | |
| its deliveries | `T#t#WHSUB#<whs>` | `dl_…` | | |
| subscription | `T#t#SUBS` | `<type>#wf_…#<node>` | | |
| known file | `T#t#FILE#<digest>` | `KNOWN` | | |
| answer of a run | `T#t#EX#ex` | `RESPONSE` | | |
| channel subscriber | `T#t#CHAN#<channel>` | `<connection>` | | |
| template | `T#t#TEMPLATES` | `tp_…` | | |
| shared link of a workflow | `T#t#SHARES#wf` | `sh_…` | | |
| directory of shared links | `SHARE#<digest of the token>` | `META` | | |
| counters of a subject and day | `T#t#COUNT#<subject>` | `<day>#<lane>` | | |
| how far a run, or what else has a mark, was counted | `T#t#COUNTED#<mark>` | `MARK` | | |
| runs that are open, runs of the day and month | `T#t#QUOTA` | `RUNS` | | `SWEEP#<shard>` / next check |
| open runs of one workflow | `T#t#QUOTA` | `RUNS#wf_…` | | `SWEEP#<shard>` / next check |
| what models have used this month | `T#t#QUOTA` | `SPENT` | | |
| guided conversation | `T#t#GUIDED` | `gi_…` | `T#t#GUIDED#<user or key>` / `gi_…` | `SWEEP#<shard>` / next check |
| its template, messages, repeats | `T#t#GUIDE#gi` | `TEMPLATE`, `M#00000007`, `K#<digest>` | | |
| who has a conversation | `T#t#GUIDEDIN#<digest>` | `ACTIVE` | | |
| counters of a guided workflow | `T#t#GUIDEDCOUNT#<template>` | `<day>#<lane>` | | |
| permission | `T#t#PERMISSIONS` | `ut_…#<template>` | | |
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
AUDIT: Final = "AUDIT"
AUDIT_INBOX: Final = "AUDITIN"
AUDIT_SHARDS: Final = 16  # of their own: many changes must not hold up what else is due
QUOTA: Final = "QUOTA"
GUIDED: Final = "GUIDED"


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

    def canary(self, workflow_id: str) -> Key:
        """The last canary of a workflow."""
        return Key(self.workflow(workflow_id), "CANARY")

    def canary_counter(self, workflow_id: str, canary_id: str, window: int | None) -> Key:
        """How many runs of a canary have ended, in one window or (None) in all."""
        return Key(self.workflow(workflow_id), f"CANARY#{canary_id}#{'ALL' if window is None else f'{window:012d}'}")

    def case(self, workflow_id: str, case_id: str = "") -> Key:
        """A test of a workflow; without its id, what all of them start with."""
        return Key(self.workflow(workflow_id), f"CASE#{case_id}")

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

    def notification_settings(self, owner_id: str) -> Key:
        """What one user, or one API key, does not want to be told of."""
        return Key(f"{self.prefix}NOTESET", owner_id)

    def task_links(self) -> str:
        """Partition of links to tasks, by id."""
        return f"{self.prefix}TASKLINKS"

    def links_of_task(self, task_id: str) -> str:
        """GSI1 partition: the links to one task."""
        return f"{self.prefix}TASKLINKS#{task_id}"

    def invitations(self) -> str:
        """Partition of invitations, by id."""
        return f"{self.prefix}INVITATIONS"

    def audit(self) -> str:
        """Partition of the audit log's entries, by number, and of its head."""
        return f"{self.prefix}{AUDIT}"

    @staticmethod
    def audit_sk(number: int) -> str:
        """Sort key of an entry of the audit log; sorts numerically."""
        return f"N#{number:012d}"

    def audit_inbox(self) -> str:
        """Partition of entries that have yet to be chained, by the time they were made."""
        return f"{self.prefix}{AUDIT_INBOX}"

    def generation(self, generation_id: str) -> Key:
        """How far a generation has come."""
        return Key(f"{self.prefix}GEN#{generation_id}", "GEN")

    def turn(self, thread_digest: str) -> Key:
        """Which run has a chat's thread."""
        return Key(f"{self.prefix}TURN#{thread_digest}", "TURN")

    def webhook_subscriptions(self) -> str:
        """Partition of the addresses that events are sent to."""
        return f"{self.prefix}WHSUBS"

    def webhook_deliveries(self, subscription_id: str) -> str:
        """Partition of what was, or is to be, sent to one of them."""
        return f"{self.prefix}WHSUB#{subscription_id}"

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

    def templates(self) -> str:
        """Partition of the tenant's own templates of workflows."""
        return f"{self.prefix}TEMPLATES"

    def shares(self, workflow_id: str) -> str:
        """Partition of a workflow's shared links."""
        return f"{self.prefix}SHARES#{workflow_id}"

    def counts(self, subject: str) -> str:
        """Partition of the counters of one subject, by day."""
        return f"{self.prefix}COUNT#{subject}"

    def counted(self, mark: str) -> Key:
        """How far something was counted. Not beside it: what is deleted stays counted."""
        return Key(f"{self.prefix}COUNTED#{mark}", "MARK")

    def open_runs(self, workflow_id: str = "") -> Key:
        """The runs that are open, of the tenant or of one workflow."""
        return Key(f"{self.prefix}{QUOTA}", f"RUNS#{workflow_id}" if workflow_id else "RUNS")

    def spent(self) -> Key:
        """What models have used."""
        return Key(f"{self.prefix}{QUOTA}", "SPENT")

    def guided(self) -> str:
        """Partition of guided conversations, by id."""
        return f"{self.prefix}{GUIDED}"

    def guided_of(self, user_id: str) -> str:
        """GSI1 partition: one user's, or API key's, guided conversations."""
        return f"{self.prefix}{GUIDED}#{user_id}"

    def guide(self, instance_id: str) -> str:
        """Partition of what belongs to one guided conversation."""
        return f"{self.prefix}GUIDE#{instance_id}"

    @staticmethod
    def said_sk(number: int | None = None) -> str:
        """Sort key of a message of a guided conversation; without a number, what all of them start with."""
        return "M#" if number is None else f"M#{number:08d}"

    @staticmethod
    def repeat_sk(mark: str) -> str:
        """Sort key of the mark that a request has led to a message."""
        return f"K#{mark}"

    def conversation(self, conversation_digest: str) -> Key:
        """Which guided conversation is active in a conversation."""
        return Key(f"{self.prefix}GUIDEDIN#{conversation_digest}", "ACTIVE")

    def guided_counts(self, template: str) -> str:
        """Partition of the counters of a guided workflow, by day."""
        return f"{self.prefix}GUIDEDCOUNT#{template}"

    def permissions(self) -> str:
        """Partition of permissions."""
        return f"{self.prefix}PERMISSIONS"

    @staticmethod
    def permission_sk(user_type_id: str, template: str = "") -> str:
        """Sort key of a permission; without a template, what all of the user type's start with."""
        return f"{user_type_id}#{template}"

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


def share_directory(token_digest: str) -> Key:
    """Which tenant's workflow a shared link leads to."""
    return Key(f"SHARE#{token_digest}", "META")


def connection(connection_id: str) -> Key:
    """A WebSocket connection: its tenant and channels."""
    return Key(f"WS#{connection_id}", "META")


def sweep_shard(thing_id: str) -> str:
    """GSI2 partition in which the sweeper looks for this thing."""
    return f"SWEEP#{zlib.crc32(thing_id.encode()) % SWEEP_SHARDS}"


def sweep_shards() -> list[str]:
    """Every partition in which the sweeper looks."""
    return [f"SWEEP#{n}" for n in range(SWEEP_SHARDS)]


def audit_shard(tenant_id: str) -> str:
    """GSI2 partition in which the sweeper looks for what this tenant has yet to chain.

    An index that cannot take a write keeps the table from taking it, and a partition takes a thousand a second: so one
    tenant's changes do not hold up all the others'.
    """
    return f"SWEEP#{AUDIT}#{zlib.crc32(tenant_id.encode()) % AUDIT_SHARDS}"


def audit_shards() -> list[str]:
    """Every partition in which the sweeper looks for what is to be chained."""
    return [f"SWEEP#{AUDIT}#{n}" for n in range(AUDIT_SHARDS)]


def is_guided(partition_key: str) -> bool:
    """Whether guided conversations lie in this partition."""
    kind, _, rest = partition_key.partition("#")
    return kind == "T" and rest.split("#")[1:] == [GUIDED]


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
