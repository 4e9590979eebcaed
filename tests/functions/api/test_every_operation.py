"""Whatever the OpenAPI document lets pass, and much that it does not, is answered as the document says.

Schemathesis makes the requests, for every operation of the document: half of them fit it, half do not.
`STATEWRIGHT_EXAMPLES` says how many for each, for a longer run than the suite's.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta

import httpx
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from shared import limits
from tests.functions.api.samples import SAMPLES
from tests.functions.api.test_every_route import DOCUMENT

# Without this, what Schemathesis sends as YAML are PDFs, pictures and archives.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
schemathesis.openapi.media_type(
    "application/yaml", VALUES.map(lambda v: yaml.safe_dump(v, allow_unicode=True).encode()) | st.binary(max_size=50)
)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EXAMPLES = int(os.environ.get("STATEWRIGHT_EXAMPLES", "14"))
MOST_SECONDS = 28.0  # of one request, with what it would have slept: the API function ends at 29
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
OPERATIONS = {f"{o.ok().method.upper()} {o.ok().path}": o.ok() for o in SCHEMA.get_all_operations()}
CREDENTIALS = {"authorization", "x-api-key"}


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.setattr(limits, "rate_of", lambda _tenant: 10**9)


def sent(case: schemathesis.Case, known: bool) -> httpx.Request:
    """The request as it goes over the wire. With `known`, by somebody the API knows."""
    arguments = case.as_transport_kwargs(base_url="http://api.test")
    dropped = CREDENTIALS if known else set()
    headers = {n: v for n, v in arguments.pop("headers").items() if n.lower() not in dropped}
    wire = requests.Request(headers=headers, **arguments).prepare()
    return httpx.Request(wire.method, wire.url, headers=dict(wire.headers), content=wire.body)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_is_answered_as_documented(api_client, hurried, name):
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
    @given(case=st.one_of([operation.as_strategy(mode) for mode in GenerationMode]), known=st.booleans())
    def asked(case, known):
        if known:
            case.path_parameters.update(ids)
        request = sent(case, known)
        for header, value in api_client.headers.items():
            request.headers.setdefault(header, value)
        started = hurried.monotonic()
        answer = api_client.send(request)
        answer.elapsed = timedelta(seconds=hurried.monotonic() - started)
        assert answer.elapsed.total_seconds() < MOST_SECONDS
        case.validate_response(answer, checks=CHECKS)

    asked()
