from __future__ import annotations

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import deliver, fits

TOLD = {"filepath": "in/a.pdf", "event": "changed", "size": 12}


def test_what_was_told_is_handed_on():
    assert deliver("file_watch", TOLD) == TOLD


def test_by_hand_a_path_will_do():
    assert deliver("file_watch", "in/a.pdf") == {"filepath": "in/a.pdf", "event": "created", "size": 0}
    assert deliver("file_watch", {"filepath": "a", "event": "deleted"})["event"] == "deleted"


NO_FILES = [None, "", 5, [], {}, {"filepath": 5}, {"filepath": ""}]
ODD = [{"event": "moved"}, {"event": None}, {"event": []}, {"size": "12"}, {"size": True}]
BAD_CONFIGS = [
    {"events": []},
    {"events": ["moved"]},
    {"events": ["created", "created"]},
    {"glob": ""},
    {"glob": "x" * 300},
    {"prefix": 5},
    {"path": "x"},
]


@pytest.mark.parametrize("data", [*NO_FILES, *({**TOLD, **odd} for odd in ODD)])
def test_what_tells_of_no_file(data):
    with pytest.raises(NodeError) as caught:
        deliver("file_watch", data)
    assert caught.value.error == "InvalidInput"


@pytest.mark.parametrize("config", BAD_CONFIGS)
def test_configs_that_do_not_fit(config):
    assert not fits(get("file_watch"), config)
