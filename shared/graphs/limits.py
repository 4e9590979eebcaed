"""What a graph and a query of it may be. Reaching one is an error that names it."""

from __future__ import annotations

from typing import Final

MAX_GRAPH: Final = 48 * 1024 * 1024  # bytes: it is read whole for each query
MAX_ROWS: Final = 10_000
MAX_ANSWER: Final = 4_000_000  # bytes of JSON
MAX_WRITE_ANSWER: Final = 256 * 1024  # it is kept in the graph, for who asks a second time
OCCASIONS: Final = 100  # answers of writes that are kept
MAX_QUERY: Final = 100_000  # characters
MAX_PARAMS: Final = 4_000_000  # bytes of JSON
MAX_SECONDS: Final = 300.0
