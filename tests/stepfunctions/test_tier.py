"""Which plans begin on Express, what their machine is, and what it costs."""

from __future__ import annotations

import pytest

from shared.runs.store import FIRST_LOOK_MS
from stepfunctions.compiler import express as skeletons
from stepfunctions.compiler.express import LIFE_SECONDS, express, waiting
from stepfunctions.compiler.verify import verify
from stepfunctions.explain import explain
from stepfunctions.plan import Plan
from stepfunctions.tier import express_machine, tier_of
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.compiler.test_verify import _e3601
from tests.stepfunctions.scenarios import SCENARIOS
from tests.stepfunctions.short_runs import URL, looping, plan_of, row


def all_plans() -> list[Plan]:
    return [plan_of(s.at(URL, granularity)) for s in SCENARIOS for granularity in ("segment", "node")]


# --- the rule, and the machine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "name", "why"),
    [
        (row(), "express", "may take 180 s"),
        (row(names="abcdef"), "standard", "may take 360 s"),
        (row(names="abcdef", timeout_seconds=50), "express", "may take 300 s"),
        (row(names="abcdef", timeout=300), "express", "a run may take 300 s"),
        (row(names="abcdef", timeout=301), "standard", "may take 360 s"),
        (looping(), "standard", "a loop calls the world"),
        (looping(settings={"timeout_seconds": 60}), "express", "a run may take 60 s"),
        (document([node("s", "manual_trigger"), node("t", "transform", {"expression": "$now()"})]), "express", "0 s"),
        (document([node("s", "manual_trigger"), node("d", "delay", {"ms": 60_000})], "s.trigger -> d.input"),) * 1
        + ("standard", "d waits, which"),
        (
            document([node("s", "manual_trigger"), node("q", "human_in_the_loop")], settings={"timeout_seconds": 60}),
            "standard",
            "q waits, which",
        ),
        (
            document(
                [
                    node("s", "manual_trigger"),
                    node("each", "loop", {"mode": "distributed"}),
                    node("t", "transform", {"expression": "1"}, parent="each"),
                ],
                "s.trigger -> each.items",
            ),
            "standard",
            "each has executions of its own",
        ),
    ],
)
def test_the_tier_of_a_plan(made, name: str, why: str):
    tier = tier_of(plan_of(made))
    assert tier.name == name
    assert why in tier.why


def test_express_skeletons_are_as_step_functions_wants_them(tmp_path):
    """The compiler's own checks, and cfn-lint's, find nothing wrong with one; and none of its states can wait."""
    plans = [p for p in all_plans() if waiting(p.skeleton) is None]
    made = dict(filter(None, map(express_machine, plans)))
    assert len(made) >= 3
    for skeleton in made.values():
        assert list(verify(skeleton)) == []
        assert "waitForTaskToken" not in str(skeleton)
        assert skeleton["TimeoutSeconds"] <= LIFE_SECONDS < FIRST_LOOK_MS / 1000
    assert _e3601(tmp_path, list(made.values())) == []


def test_whoever_hands_over_names_the_right_machine():
    """Two shapes with one express skeleton but for that name; and a change of the skeleton changes the name."""
    long, longer = (plan_of(row(timeout=t)) for t in (86_400, 90_000))
    assert waiting(long.skeleton) is None
    one, two = (express_machine(p) for p in (long, longer))
    assert one is not None
    assert two is not None
    assert one[0] != two[0]
    assert one[1]["States"]["standard.start"]["Arguments"]["StateMachineArn"] == "${machines}" + long.machine
    assert skeletons.name_of({**one[1], "TimeoutSeconds": 1}) != one[0]


def test_branches_fail_as_a_whole():
    """A state in a branch does not hand over by itself: the others would go on beside the Standard execution."""
    plan = next(p for p in all_plans() if "Parallel" in str(p.skeleton) and waiting(p.skeleton) is None)
    made = express(plan.skeleton, plan.machine)
    together = next(s for s in made["States"].values() if s["Type"] == "Parallel")
    assert [c["Next"] for c in together["Catch"]] == ["run.over", "standard.start"]
    inside = [s for branch in together["Branches"] for s in branch["States"].values()]
    assert inside
    assert not any("Catch" in s for s in inside)


def test_what_it_costs():
    """One request, and half a second in the 64 MB that are billed at least; a Standard state is $25/M."""
    short, long = (explain(plan_of(row(names=names))) for names in ("abc", "abcdef"))
    assert (short["tier"]["name"], long["tier"]["name"]) == ("express", "standard")
    assert short["cost_per_1000_runs"]["step_functions"] == pytest.approx(0.001 + 0.5 / 16 * 0.01667, abs=1e-6)
    assert long["cost_per_1000_runs"]["step_functions"] == pytest.approx(0.025)
