"""What a generation has thought up is made whole or not at all, and once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import Conflict, Invalid, NotFound, PreconditionFailed
from shared.resources.documents import Agent
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.workflows import service as workflows
from shared.workflows.service import document_of
from stepfunctions.generator.apply import MAX_AGENTS, Wanted, apply, of_generation
from tests.stepfunctions.agents import keep
from tests.stepfunctions.engine.faults import Killed, Strike
from tests.stepfunctions.generator.said import OUT, START, adding, agent, answer, node

DOCUMENT = {"name": "Made", "nodes": [{"id": "start", "type": "manual_trigger"}]}
LARGE = {**DOCUMENT, "variables": {"noise": [f"{n * 7919 % 1_000_003:x}" for n in range(200_000)]}}


def wanted(*agents: str, document: Any = DOCUMENT, **more: Any) -> Wanted:
    made = [Agent.model_validate({"name": name, "model": {"model": "m"}}) for name in agents]
    return Wanted(document_of(document), made, **more)


def there(who: Principal) -> tuple[list[str], list[str]]:
    """The names of the workflows and of the agents."""
    found = ResourceStore(TenantTable(who.tenant)).page("agents", None, 100)
    return [w.name for w in workflows.listing(who, None, 100).items], [a.name for a in found.items]


@pytest.mark.parametrize("document", [DOCUMENT, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_dies_leaves_all_or_nothing(who, wire, moment, document):
    at, seen = 0, set()
    while True:
        mark, names = f"mark{at}", [f"a{at}", f"b{at}"]
        before = there(who)
        wire.reset(Strike(at, moment))
        try:
            apply(who, wanted(*names, document=document), mark)
        except Killed:
            killed = True
        else:
            killed = False
        wire.reset()
        now = [len(after) - len(old) for after, old in zip(there(who), before, strict=True)]
        assert now in ([0, 0], [1, 2])
        seen.add(tuple(now))
        again = apply(who, wanted(*names, document=document), mark)
        assert again.again == (now == [1, 2])
        assert [len(after) - len(old) for after, old in zip(there(who), before, strict=True)] == [1, 2]
        assert again.document["variables"] == document.get("variables", {})
        if not killed:
            break
        at += 1
    assert at > 1
    assert seen == {(0, 0), (1, 2)}


def test_many_who_apply_the_same_make_it_once(who):
    with ThreadPoolExecutor(8) as many:
        made = list(many.map(lambda _: apply(who, wanted("clerk"), "mark"), range(8)))
    assert len({m.workflow.id for m in made}) == 1
    assert [m.again for m in made].count(False) == 1
    assert there(who) == (["Made"], ["clerk"])


def test_names_that_are_taken_are_all_told_and_nothing_is_made(who, tenant):
    keep(tenant, "agents", "b", model={"model": "m"})
    keep(tenant, "agents", "d", model={"model": "m"})
    with pytest.raises(Conflict) as caught:
        apply(who, wanted("a", "b", "c", "d"), None)
    assert [(p.code, p.path) for p in caught.value.errors] == [
        ("name_taken", "agents_to_create.1.name"),
        ("name_taken", "agents_to_create.3.name"),
    ]
    with pytest.raises(Invalid):
        apply(who, wanted("a", "a"), None)
    assert there(who) == ([], ["b", "d"])


def test_an_id_that_is_taken(who):
    apply(who, wanted(document={**DOCUMENT, "id": "mine"}), None)
    with pytest.raises(Conflict) as caught:
        apply(who, wanted("a", document={**DOCUMENT, "id": "mine"}), None)
    assert caught.value.code == "id_taken"
    with pytest.raises(Invalid):
        apply(who, wanted("a", document={**DOCUMENT, "id": "generations"}), None)
    assert there(who)[1] == []


def test_as_many_agents_as_there_may_be(who):
    names = [f"a{n}" for n in range(MAX_AGENTS)]
    assert apply(who, wanted(*names), "mark").agents == tuple(names)
    assert len(there(who)[1]) == MAX_AGENTS


def test_a_change_is_made_of_the_draft_that_it_was_made_from(who):
    stored, _ = workflows.create(who, document_of(DOCUMENT))
    change = wanted("a", document={**DOCUMENT, "name": "Other"}, workflow_id=stored.id, revision=1)
    workflows.patch(who, stored.id, {"description": "Somebody else was here."}, None)
    with pytest.raises(PreconditionFailed):
        apply(who, change, "mark")
    assert there(who) == (["Made"], [])
    fresh = wanted("a", document={**DOCUMENT, "name": "Other"}, workflow_id=stored.id, revision=2)
    made = apply(who, fresh, "mark")
    assert (made.workflow.revision, made.workflow.is_active, there(who)) == (3, False, (["Other"], ["a"]))
    assert apply(who, fresh, "mark").again


def test_two_who_change_one_draft(who):
    stored, _ = workflows.create(who, document_of(DOCUMENT))

    def change(number: int) -> str:
        document = {**DOCUMENT, "name": f"By {number}"}
        try:
            apply(who, wanted(f"a{number}", document=document, workflow_id=stored.id, revision=1), f"mark{number}")
        except PreconditionFailed:
            return "refused"
        return f"By {number}"

    with ThreadPoolExecutor(4) as many:
        came = sorted(many.map(change, range(4)))
    assert came.count("refused") == 3
    name = next(c for c in came if c != "refused")
    assert there(who) == ([name], [f"a{name[-1]}"])


def test_anothers_draft_is_not_there(who, other_owner, other_tenant):
    stored, _ = workflows.create(who, document_of(DOCUMENT))
    theirs = Principal(other_tenant, "user", other_owner.user.id, "owner")
    with pytest.raises(NotFound):
        apply(theirs, wanted("a", workflow_id=stored.id, revision=1), None)
    assert there(theirs) == ([], [])


def test_only_what_is_done_is_applied(generated):
    cannot = generated("Fax it.", answer(None, cannot="No fax."))
    failed = generated("Add one.", "no", "no", "no")
    for each in (cannot, failed):
        with pytest.raises(Conflict) as caught:
            of_generation(each)
        assert caught.value.code == "not_done"


def test_a_generation_is_applied_once(generated, who):
    nodes = [START, node("ask", "agent", {"agent": "new"}, {"input": "{{ trigger }}"}), OUT]
    made = generated("An agent.", answer(nodes, "ask.output -> out.value", agents_to_create=[agent("new")]))
    first, again = (apply(who, *of_generation(made)) for _ in range(2))
    assert (first.again, again.again, first.workflow.id) == (False, True, again.workflow.id)
    assert first.workflow.origin == {"kind": "generation", "id": made.id}
    assert there(who) == (["Made"], ["new"])


def test_a_change_that_was_generated(generated, who):
    made = apply(who, *of_generation(generated("Add one.", adding())))
    changed = adding()
    changed["workflow"]["name"] = "Changed"
    applied = apply(who, *of_generation(generated("Call it so.", changed, workflow_id=made.workflow.id)))
    assert (applied.workflow.id, applied.workflow.revision, applied.document["name"]) == (
        made.workflow.id,
        2,
        "Changed",
    )
