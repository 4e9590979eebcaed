from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.registry import get
from tests.shared.nodes.calls import deliver, fits, problems


def test_a_request_leaves_on_its_five_ports() -> None:
    data = {"body": {"a": 1}, "headers": {"x": "y"}, "query": {"q": "1"}, "method": "PUT", "path": "/orders/7"}
    assert deliver("http_webhook", data) == data


def test_what_a_request_lacks_is_filled_in() -> None:
    assert deliver("http_webhook", {"body": "text"}) == {
        "body": "text",
        "headers": {},
        "query": {},
        "method": "POST",
        "path": "/",
    }


@pytest.mark.parametrize("data", [{"ticket": 7}, {"body": 1, "other": 2}, [1], "text", None, {}])
def test_other_data_is_the_body(data: Any) -> None:
    assert deliver("http_webhook", data)["body"] == data


@pytest.mark.parametrize(
    "config",
    [
        {"methods": []},
        {"methods": ["TRACE"]},
        {"methods": ["POST", "POST"]},
        {"auth": "digest"},
        {"preset": "gitlab"},
        {"header": "X Signature"},
        {"response_mode": "nobody"},
        {"secret": "never in a document"},
    ],
)
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("http_webhook"), config)


def test_signature_fields_need_a_signature() -> None:
    assert problems("http_webhook", {}) == []
    assert problems("http_webhook", {"auth": "hmac", "header": "X-Sig", "prefix": "v1="}) == []
    assert problems("http_webhook", {"auth": "hmac", "preset": "stripe", "tolerance_seconds": 60}) == []
    assert problems("http_webhook", {"auth": "bearer", "preset": "github"}) == ["config.preset"]
    assert problems("http_webhook", {"auth": "hmac", "preset": "github", "header": "X"}) == ["config.header"]
    drawn = {"auth": "none", "preset": "generic", "header": "X-Signature", "prefix": "", "tolerance_seconds": 300}
    assert problems("http_webhook", drawn) == []  # a form that sends its defaults
