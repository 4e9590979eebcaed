"""Whatever the OpenAPI document lets pass, and much that it does not, is answered as the document says.

Schemathesis makes the requests, for every operation of the document. `STATEWRIGHT_EXAMPLES` says how many for each, for
a longer run than the suite's.
"""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from shared import limits
from tests.functions.api.samples import SAMPLES
from tests.functions.api.test_every_route import DOCUMENT

SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EXAMPLES = int(os.environ.get("STATEWRIGHT_EXAMPLES", "20"))
MOST_SECONDS = 35.0  # of one request: the API function has 29, and this machine other work
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
OPERATIONS = {f"{o.ok().method.upper()} {o.ok().path}": o.ok() for o in SCHEMA.get_all_operations()}


@pytest.fixture(autouse=True)
def unlimited(monkeypatch, hurried):
    monkeypatch.setattr(limits, "DEFAULT_RATE", 10**9)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_is_answered_as_documented(api_client, name):
    operation = OPERATIONS[name]
    ids = {n: SAMPLES[n](api_client) for n in re.findall(r"{(\w+)", operation.path) if n in SAMPLES}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.booleans())
    def asked(case, known):
        if known:
            case.path_parameters.update(ids)
        sent = case.as_transport_kwargs(base_url="http://api.test")
        started = time.monotonic()
        answer = api_client.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers=dict(sent["headers"]),
            json=sent.get("json"),
        )
        answer.elapsed = timedelta(seconds=time.monotonic() - started)
        assert answer.elapsed.total_seconds() < MOST_SECONDS
        case.validate_response(answer, checks=CHECKS)

    asked()
