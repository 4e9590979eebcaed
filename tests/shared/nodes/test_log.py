from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import Outside, execute


@pytest.mark.parametrize(
    ("config", "inputs", "line"),
    [
        ({}, {"message": "text"}, ("info", "text")),
        ({"level": "error"}, {"message": {"a": 1}}, ("error", {"a": 1})),
        ({"level": "error"}, {"message": None, "level": "debug"}, ("debug", None)),
    ],
)
def test_a_line_is_written(config: dict[str, Any], inputs: dict[str, Any], line: tuple[str, Any]) -> None:
    world = Outside()
    assert execute("log", config, inputs, world=world) == {}
    assert world.lines == [line]


@pytest.mark.parametrize("level", ["loud", 5, ["info"]])
def test_an_unknown_level_is_refused(level: Any) -> None:
    world = Outside()
    with pytest.raises(NodeError) as caught:
        execute("log", {}, {"message": "x", "level": level}, world=world)
    assert caught.value.error == "InvalidInput"
    assert world.lines == []
