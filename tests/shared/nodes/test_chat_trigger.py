from __future__ import annotations

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import deliver, fits

TOLD = {"message": "hello", "thread_id": "t-1", "history": [{"role": "user", "content": "before"}]}


def test_what_was_said_is_handed_on():
    assert deliver("chat_trigger", TOLD) == TOLD


def test_by_hand_a_text_will_do():
    assert deliver("chat_trigger", "hello") == {"message": "hello", "thread_id": "", "history": []}
    assert deliver("chat_trigger", {"message": "x", "thread_id": None, "more": 1})["thread_id"] == ""


@pytest.mark.parametrize(
    "odd", [{"message": 5}, {"message": None}, {"thread_id": 5}, {"history": {}}, {"history": "x"}]
)
def test_what_is_no_message(odd):
    with pytest.raises(NodeError) as caught:
        deliver("chat_trigger", {**TOLD, **odd})
    assert caught.value.error == "InvalidInput"


@pytest.mark.parametrize("data", [None, 5, [], {}, True])
def test_what_is_nothing_of_the_kind(data):
    with pytest.raises(NodeError):
        deliver("chat_trigger", data)


@pytest.mark.parametrize("config", [{"history_limit": -1}, {"history_limit": 201}, {"history_limit": 1.5}, {"x": 1}])
def test_configs_that_do_not_fit(config):
    assert not fits(get("chat_trigger"), config)
