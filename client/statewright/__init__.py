"""A client of the Statewright API.

    from statewright import Statewright
    from statewright.api.workflows import workflows_create

    with Statewright("https://api.example.com", api_key="sw_…") as sw:
        made = sw.call(workflows_create, body=document)        # any operation of the API, typed
        run = sw.execute(made.id, {"order": 7})                # waits for its end
        print(run.status, run.final_output)

`statewright.api` and `statewright.models` are generated from the API's OpenAPI document: a module for each operation, a
class for each body. What stands here makes them pleasant: problems are exceptions, lists go on by themselves, runs can
be waited for.
"""

from __future__ import annotations

from statewright.face import Problem, Statewright, TimedOut

__all__ = ["Problem", "Statewright", "TimedOut"]
