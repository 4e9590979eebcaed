"""Tasks in the table. What may be large (the question, the answer) lies in S3 when it is, named by its hash.

Beside the task, in its run's partition, lies a mark with its status: by it a run's tasks are found, and live events
of tasks come in the order of the run's other events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from shared.aws.s3 import TenantObjects
from shared.clock import iso, now_ms
from shared.errors import NotFound
from shared.runs.store import not_later
from shared.settings import settings
from shared.store.keys import Key, sweep_shard
from shared.store.pages import MAX_LIMIT, Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, Page, TenantTable, Write
from shared.tasks.model import NOTHING, Answer, Follow, Notice, Shown, Task, TaskStatus, Vote

_INLINE_BYTES: Final = 32_768
_INLINE_VOTE_BYTES: Final = 512
_SEND_AGAIN_MS: Final = 60_000
_FIELDS: Final = tuple(f.name for f in fields(Task))
_open: Final = Attr("status").eq("open")
_CHANGED: Final = {"revision": 1}  # what people see of the task is another now


@dataclass(frozen=True, slots=True)
class Kept:
    """A task with what the API never shows: the sealed token, where question and answer lie, the votes so far, what is
    to follow, and what people have yet to be told (`noted` counts all that there was, `tries` the attempts).
    """

    task: Task
    token: bytes | None
    shown: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    votes: tuple[Vote, ...] = ()
    follow: Follow = NOTHING
    notices: tuple[Notice, ...] = ()
    noted: int = 0
    tries: int = 0
    reminded: bool = False


class TaskStore:
    """One tenant's tasks."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    # --- reading ---------------------------------------------------------------------------------------------------

    def find(self, task_id: str) -> Kept | None:
        """The task as it is now, or None."""
        item = self._table.get(self._key(task_id), consistent=True)
        return _kept(item) if item else None

    def get(self, task_id: str) -> Kept:
        """The task as it is now. Raises NotFound."""
        found = self.find(task_id)
        if found is None:
            raise NotFound(f"there is no task {task_id}")
        return found

    def shown(self, kept: Kept) -> Shown:
        """What the task shows. Raises NotFound if it is gone from S3."""
        return Shown(**self._read(kept.shown))

    def answer(self, kept: Kept) -> Answer | None:
        """What was answered, if it was. Raises NotFound as `shown`."""
        return None if kept.answer is None else Answer(**self._read(kept.answer))

    def said(self, vote: Vote) -> dict[str, Any]:
        """The comment and the data of a vote. Raises NotFound as `shown`."""
        found: dict[str, Any] = self._read(vote.said)
        return found

    def of_run(self, execution_id: str) -> list[tuple[str, TaskStatus]]:
        """`(id, status)` of a run's tasks."""
        mark = self._keys.task_of_run(execution_id)
        found = self._table.query_all(mark.pk, prefix=mark.sk, consistent=True)
        return [(i["task_id"], i["status"]) for i in found]

    def page(
        self,
        status: str | None,
        listing: str,
        cursor: str | None,
        limit: int,
        keep: Any,
        execution_id: str | None = None,
    ) -> Listing[Task]:
        """Tasks that `keep(task)` accepts, newest first: all there are, or those of a run that is there.

        `listing` names the filters, for the cursor.
        """

        def fetch(start: dict[str, str] | None, n: int) -> Page:
            if execution_id is not None:
                return self._page_of_run(execution_id, status, start, n)
            where = {"index": "GSI1"} if status else {}
            pk = self._keys.tasks_with(status) if status else self._keys.tasks()
            return self._table.query(pk, forward=False, start=start, limit=n, attributes=_FIELDS, **where)

        return listing_of(
            self._table.tenant, listing, cursor, limit, fetch, _task, keep=lambda item: bool(keep(_task(item)))
        )

    def _page_of_run(self, execution_id: str, status: str | None, start: dict[str, str] | None, n: int) -> Page:
        ids = sorted((i for i, at in self.of_run(execution_id) if status in (None, at)), reverse=True)
        left = [i for i in ids if start is None or i < start["SK"]]
        taken = left[: min(n, MAX_LIMIT)]  # each is read by itself
        items = [item for i in taken if (item := self._table.get(self._key(i))) is not None]
        keys = ("PK", "SK", "GSI1PK", "GSI1SK") if status else ("PK", "SK")  # as of the tasks of all runs
        page = Page(items, None, keys)
        return replace(page, last={name: items[-1][name] for name in keys}) if items and taken != left else page

    # --- writing ---------------------------------------------------------------------------------------------------

    def create(
        self,
        task: Task,
        shown: Shown,
        token: bytes,
        follow: Follow,
        notices: Sequence[Notice],
        look_at: int,
        asked_in: int = 0,
    ) -> bool:
        """Write a new task and its mark; False if it is there already. The sweeper looks at it at `look_at`;
        `asked_in` is the attempt of the run that gave the token.
        """
        item = {
            **_to_item(task),
            **self._status_keys(task.id, task.status),
            "shown": self._write(shown.as_dict()),
            "token": token,
            "asked_in": asked_in,
            "GSI2PK": sweep_shard(task.id),
            "GSI2SK": iso(look_at),
        }
        if follow != NOTHING:
            item["follow"] = json.dumps(follow.as_dict())
        if notices:
            item |= {"notices": [_noted(n) for n in notices], "noted": len(notices)}
        mark = {"task_id": task.id, "node_id": task.node_id, "title": task.title, "status": task.status}
        key, mark_key = self._key(task.id), self._keys.task_of_run(task.execution_id, task.id)
        new = Attr("PK").not_exists()
        writes = [
            Write("Put", (key.pk, key.sk), item, condition=new),
            Write("Put", (mark_key.pk, mark_key.sk), mark),
        ]
        return self._transact(writes)

    def renew(self, task_id: str, token: bytes, expires_at: int, look_at: int, asked_in: int = 0) -> bool:
        """Another token for an open task; False if it is closed, or a later attempt of the run has asked again."""
        values = {"token": token, "expires_at": expires_at, "GSI2SK": iso(look_at), "asked_in": asked_in}
        return self._change(task_id, Change(set=values, add=_CHANGED), _open & not_later(asked_in)) is not None

    def complete(
        self, task: Task, answer: Answer, claimant: str, votes: Sequence[Vote] = (), also: Sequence[Write] = ()
    ) -> bool:
        """Keep an answer; False if the task is closed, somebody else has claimed it, or there is another vote by now.

        `votes` are all votes, the last of which decides. What is written `also` is written with it or not at all.
        """
        values = {
            "decision": answer.decision,
            "completed_by": answer.completed_by,
            "completed_at": answer.completed_at,
            "answer": self._write(answer.as_dict()),
            # Until the token is used, the sweeper sees to it.
            "GSI2SK": iso(now_ms() + _SEND_AGAIN_MS),
        }
        mine = Attr("claimed_by").not_exists() | Attr("claimed_by").eq(claimant)
        if votes:
            values |= _counted(votes)
            mine = _seen(len(votes) - 1)
        return self._close(task, "completed", Change(set=values), _open & mine, also)

    def vote(self, task: Task, votes: Sequence[Vote], also: Sequence[Write] = ()) -> bool:
        """Keep a vote that does not decide, the last of all `votes`; False as `complete`."""
        key = self._key(task.id)
        change, condition = Change(set=_counted(votes), add=_CHANGED), _open & _seen(len(votes) - 1)
        return self._transact([Write("Update", (key.pk, key.sk), change=change, condition=condition), *also])

    def write_said(self, answered: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where the comment and the data of a vote lie: a task may have many votes, so what is large lies in S3."""
        return self._write(answered, _INLINE_VOTE_BYTES)

    def close(self, task: Task, status: TaskStatus) -> bool:
        """End a task unanswered (`lapsed`, `cancelled`); False if it is closed already."""
        change = Change(set={"completed_at": now_ms()}, remove=["token", "GSI2PK", "GSI2SK"])
        return self._close(task, status, change, _open)

    def sent(self, task_id: str) -> None:
        """The token was used: forget it."""
        self._change(task_id, Change(remove=["token", "GSI2PK", "GSI2SK"]), Attr("status").eq("completed"))

    def look_again(self, task_id: str, at_ms: int) -> None:
        """When the sweeper should look at the task next."""
        self._change(task_id, Change(set={"GSI2SK": iso(at_ms)}), Attr("GSI2SK").exists())

    def rest(self, kept: Kept, look_at: int) -> None:
        """There is nothing to be done before then for an open task that is as in `kept`. One that was answered or has
        another notice since is looked at when whoever did that has said.
        """
        wanted = _open & _at("noted", kept.noted) & Attr("expires_at").eq(kept.task.expires_at)
        self._change(kept.task.id, Change(set={"GSI2SK": iso(look_at)}), wanted)

    def claim(self, task_id: str, who: str) -> Task | None:
        """Take an open task that nobody else has taken; None otherwise."""
        free = Attr("claimed_by").not_exists() | Attr("claimed_by").eq(who)
        change = Change(set={"claimed_by": who, "claimed_at": now_ms()}, add=_CHANGED)
        return self._change(task_id, change, _open & free)

    def unclaim(self, task_id: str, held_by: str) -> Task | None:
        """Give back what `held_by` has taken; None if it is closed or held by somebody else."""
        change = Change(remove=["claimed_by", "claimed_at"], add=_CHANGED)
        return self._change(task_id, change, _open & Attr("claimed_by").eq(held_by))

    def note(self, kept: Kept, notice: Notice, look_at: int, *, unchanged: bool = False, **values: Any) -> Task | None:
        """Change an open task that has no newer notice than in `kept`, and say so to people; None otherwise.

        With `assignees` among the values a claim ends. `unchanged`: only if nothing at all of it has changed.
        """
        notices = [*map(_noted, kept.notices), _noted(notice)]
        change = Change(
            set={**values, "notices": notices, "noted": kept.noted + 1, "tries": 0, "GSI2SK": iso(look_at)},
            remove=["claimed_by", "claimed_at"] if "assignees" in values else [],
            add=_CHANGED,
        )
        condition = _open & _at("noted", kept.noted)
        if unchanged:
            revision, none_yet = kept.task.revision, Attr("revision").not_exists()  # of before there were revisions
            condition &= Attr("revision").eq(revision) if revision else Attr("revision").eq(0) | none_yet
        return self._change(kept.task.id, change, condition)

    def told(self, kept: Kept, look_at: int) -> None:
        """People know of all notices in `kept`; newer ones stay."""
        change = Change(set={"GSI2SK": iso(look_at)}, remove=["notices", "tries"])
        self._change(kept.task.id, change, _open & _at("noted", kept.noted))

    def tell_again(self, kept: Kept, look_at: int, *, failed: bool) -> None:
        """Not everybody could be told: the sweeper goes on."""
        change = Change(set={"GSI2SK": iso(look_at), "tries": kept.tries + int(failed)})
        self._change(kept.task.id, change, _open & _at("noted", kept.noted))

    # ---------------------------------------------------------------------------------------------------------------

    def _key(self, task_id: str) -> Key:
        return Key(self._keys.tasks(), task_id)

    def _status_keys(self, task_id: str, status: str) -> Item:
        return {"GSI1PK": self._keys.tasks_with(status), "GSI1SK": task_id}

    def _change(self, task_id: str, change: Change, condition: Any) -> Task | None:
        try:
            return _task(self._table.update(self._key(task_id), change, condition))
        except ConditionFailed:
            return None

    def _close(
        self, task: Task, status: TaskStatus, change: Change, condition: Any, also: Sequence[Write] = ()
    ) -> bool:
        values = {**change.set, "status": status, **self._status_keys(task.id, status)}
        key, mark_key = self._key(task.id), self._keys.task_of_run(task.execution_id, task.id)
        mark = {"task_id": task.id, "node_id": task.node_id, "title": task.title, "status": status}
        mark |= {k: values[k] for k in ("decision", "completed_by", "completed_at") if k in values}
        closed = Change(set=values, remove=change.remove, add=_CHANGED)
        writes = [
            Write("Update", (key.pk, key.sk), change=closed, condition=condition),
            Write("Put", (mark_key.pk, mark_key.sk), mark),
            *also,
        ]
        return self._transact(writes)

    def _transact(self, writes: list[Write]) -> bool:
        try:
            self._table.transact(writes)
        except ConditionFailed:
            return False
        return True

    def _objects(self) -> TenantObjects:
        return TenantObjects(self._table.tenant, settings().data_bucket, "payloads")

    def _write(self, value: Any, inline: int = _INLINE_BYTES) -> Mapping[str, Any]:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        body = text.encode()
        if len(body) <= inline:
            return {"text": text}
        name = hashlib.sha256(body).hexdigest()
        self._objects().put(name, body)
        return {"object": name}

    def _read(self, stored: Mapping[str, Any]) -> Any:
        if "text" in stored:
            return json.loads(stored["text"])
        body = self._objects().get(stored["object"])
        if body is None:  # payloads do not lie in S3 for ever
            raise NotFound("the task's content is kept no longer", code="content_gone")
        return json.loads(body)


def _to_item(task: Task) -> Item:
    values = {name: getattr(task, name) for name in _FIELDS}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None}


def _task(item: Item) -> Task:
    values = {name: item[name] for name in _FIELDS if name in item}
    return Task(**{**values, "assignees": tuple(item["assignees"])})


def _kept(item: Item) -> Kept:
    return Kept(
        _task(item),
        item.get("token"),
        item["shown"],
        item.get("answer"),
        tuple(Vote(**v) for v in item.get("votes", ())),
        Follow.from_dict(json.loads(item["follow"])) if "follow" in item else NOTHING,
        tuple(Notice(n["kind"], tuple(n["to"]), n["key"]) for n in item.get("notices", ())),
        item.get("noted", 0),
        item.get("tries", 0),
        item.get("reminded", False),
    )


def _noted(notice: Notice) -> dict[str, Any]:
    return {"kind": notice.kind, "to": list(notice.to), "key": notice.key}


def _counted(votes: Sequence[Vote]) -> dict[str, Any]:
    approvals = sum(v.decision == "approved" for v in votes)
    stored = [asdict(v) for v in votes]
    return {"votes": stored, "vote_count": len(votes), "approvals": approvals, "rejections": len(votes) - approvals}


def _seen(votes: int) -> Any:
    return _at("vote_count", votes)


def _at(counter: str, number: int) -> Any:
    return Attr(counter).eq(number) if number else Attr(counter).not_exists()
