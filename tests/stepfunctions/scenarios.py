"""All scenarios: run on moto's interpreter and, by the end-to-end tests, on the local AWS."""

from __future__ import annotations

from typing import Final

from tests.stepfunctions.scenario import Scenario
from tests.stepfunctions.scenarios_at_once import AT_ONCE
from tests.stepfunctions.scenarios_bodies import BODIES
from tests.stepfunctions.scenarios_waiting import WAITING

SCENARIOS: Final[tuple[Scenario, ...]] = (*AT_ONCE, *WAITING, *BODIES)
