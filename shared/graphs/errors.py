"""Why a query has no answer."""

from __future__ import annotations


class GraphQueryFailed(Exception):
    """Nothing was written. `error` is a node's error name, `message` is for people."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
