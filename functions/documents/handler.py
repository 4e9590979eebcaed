"""The runner of segments with a node whose libraries are heavy (documents, vectors, graphs). It runs any other, too."""

from __future__ import annotations

from stepfunctions.calls import runner

handler = runner("documents")
