"""What a turn does to a conversation. Pure: from one value to the next, without time and store.

`counts` are what is counted of it: how many began, ended and how, and at which step people were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.clock import iso
from shared.guided import asking, rules
from shared.guided.documents import Template
from shared.guided.evidence import found
from shared.guided.model import Instance, Pending, Refused, Said
from shared.guided.rules import Filled, Standing

TRIES: Final = 2  # answers of the model to one message
_REALLY: Final = "Do you really want to stop? Nothing will be kept up. Say so once more, or just go on."
_STOPPED: Final = "This was cancelled."


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a conversation: its next state, what is said, what is counted.

    `ready`: the person has agreed, or need not; the end action is to be begun.
    """

    instance: Instance
    said: tuple[Said, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    ready: bool = False


def filled_of(instance: Instance) -> Filled:
    """The state of a conversation with its evidence."""
    return Filled(instance.state, instance.evidence, instance.skipped)


def standing_of(template: Template, instance: Instance, now_ms: int) -> Standing:
    """Where a conversation stands."""
    return rules.standing(template, filled_of(instance), iso(now_ms))


def heard(template: Template, instance: Instance, content: Said) -> Step:
    """A person's message is there and waits for its answer."""
    pending = Pending(content.number, content.at)
    after = _moved(template, instance, content.at, pending=pending, messages=content.number + 1)
    return Step(after, (content,))


def answered(
    template: Template, instance: Instance, answer: Mapping[str, Any], said: Sequence[Said], now_ms: int
) -> Step:
    """The model has answered the pending message, the last of `said`. What it proposes is held against the rules."""
    pending, now, latest = instance.pending, iso(now_ms), said[-1]
    assert pending is not None  # noqa: S101 - whoever calls has looked
    outcome = rules.take(template, filled_of(instance), asking.proposals_of(answer), said, now)
    skips = [(s["step"], s["evidence"]) for s in answer.get("skips") or ()]
    filled, not_skipped = rules.pass_over(template, outcome.filled, skips, latest, now)
    refused = (*outcome.refused, *not_skipped)
    if refused and pending.tries + 1 < TRIES:
        # The model gets to know why, and answers anew: its reply would say that all was taken.
        again = replace(pending, tries=pending.tries + 1, refused=refused)
        return Step(replace(instance, pending=again, version=instance.version + 1))
    reply = [str(answer["reply"]).strip()]
    if refused:
        reply.append(asking.refused_text(refused))
    if _quoted(answer.get("wants_to_cancel"), latest):
        if instance.cancel_asked:
            reply.append(_STOPPED)
            return _with_reply(_cancelled(template, instance, now_ms, "asked_for"), reply, (), refused)
        reply.append(_REALLY)
        after = _moved(template, instance, now_ms, pending=None, cancel_asked=True)
        return _with_reply(Step(after), reply, (), refused)
    unchanged = not outcome.taken and not refused and filled.skipped == instance.skipped
    agreed = unchanged and instance.phase == "confirming" and _quoted(answer.get("agrees"), latest)
    changed = replace(instance, pending=None, cancel_asked=False)
    step = progressed(template, changed, filled, now_ms, agreed=agreed)
    if step.instance.phase == "confirming" and step.instance.shown != instance.shown:
        reply.append(asking.summary_text(template, filled, now))
    return _with_reply(step, reply, outcome.taken, refused)


def unanswered(instance: Instance, error: Mapping[str, Any], now_ms: int, template: Template) -> Step:
    """The model gave no answer to the pending message: everything is as it was before it."""
    after = _moved(template, instance, now_ms, pending=None)
    said = Said(after.messages, "assistant", "", "assistant", now_ms, error=dict(error))
    return Step(replace(after, messages=after.messages + 1), (said,))


def progressed(template: Template, instance: Instance, filled: Filled, now_ms: int, *, agreed: bool = False) -> Step:
    """A conversation with another state: it asks on, shows what is to be agreed to, or is ready to end.

    `agreed`: the person has agreed to the summary that they were last shown.
    """
    now = iso(now_ms)
    standing = rules.standing(template, filled, now)
    mark = rules.mark_of(rules.final_state(template, filled.state, now)) if standing.complete else None
    ready = standing.complete and (not template.confirm or (agreed and instance.shown == mark))
    phase: Any = "confirming" if standing.complete else "collecting"
    changes = {"state": filled.state, "evidence": filled.evidence, "skipped": filled.skipped}
    after = _moved(template, instance, now_ms, phase=phase, shown=mark, **changes)
    counts: Counter[str] = Counter()
    if standing.current is not None and standing.current not in after.reached:
        after = replace(after, reached=(*after.reached, standing.current))
        counts[f"reached.{standing.current}"] += 1
    return Step(after, (), counts, ready)


def begun(template: Template, instance: Instance, filled: Filled, now_ms: int) -> Step:
    """A new conversation."""
    step = progressed(template, replace(instance, version=0), filled, now_ms)
    return replace(step, counts={**step.counts, "started": 1, "active": 1})


def ended(instance: Instance, status: str, now_ms: int, current: str | None = None, **changes: Any) -> Step:
    """A conversation is over. `current` is the step that it was at."""
    took = max(0, now_ms - instance.created_at)
    counts: Counter[str] = Counter({status: 1, "active": -1})
    if status == "completed":
        counts["milliseconds"] += took
        counts[f"took.{max(1, took // 1000).bit_length() - 1}"] += 1
    elif current is not None:
        counts[f"left.{current}"] += 1
    after = replace(
        instance,
        status=status,  # type: ignore[arg-type]  # one of the statuses
        pending=None,
        ended_at=now_ms,
        updated_at=now_ms,
        version=instance.version + 1,
        **changes,
    )
    return Step(after, (), counts)


def cancelled(template: Template, instance: Instance, now_ms: int, reason: str) -> Step:
    """Somebody cancels a conversation, or it has expired; `reason` says which. What it was about is not done."""
    step = _cancelled(template, instance, now_ms, reason)
    if instance.pending is None:
        return step
    said = Said(instance.messages, "assistant", "", "assistant", now_ms, error=_CANCELLED)
    return replace(step, said=(said,), instance=replace(step.instance, messages=instance.messages + 1))


_CANCELLED: Final = {"error": "Cancelled", "message": "the conversation was cancelled before there was an answer"}


def _cancelled(template: Template, instance: Instance, now_ms: int, reason: str) -> Step:
    current = standing_of(template, instance, now_ms).current or instance.phase
    step = ended(instance, "cancelled", now_ms, current, reason=reason)
    return replace(step, counts={**step.counts, "expired": 1}) if reason == "expired" else step


def _moved(template: Template, instance: Instance, now_ms: int, **changes: Any) -> Instance:
    """The next version of a conversation in which something has happened: it expires later."""
    expires = now_ms + template.expires_in_seconds * 1000
    return replace(instance, updated_at=now_ms, expires_at=expires, version=instance.version + 1, **changes)


def _with_reply(step: Step, reply: Sequence[str], taken: Sequence[str], refused: Sequence[Refused]) -> Step:
    instance = step.instance
    said = Said(
        number=instance.messages,
        role="assistant",
        content="\n\n".join(reply),
        source="assistant",
        at=instance.updated_at,
        taken=tuple(taken),
        refused=tuple(refused),
    )
    return replace(step, said=(said,), instance=replace(instance, messages=instance.messages + 1))


def _quoted(words: str | None, latest: Said) -> bool:
    return isinstance(words, str) and found(words, latest.content)
