"""How chunker cuts. Loads semantic_text_splitter, so import it when needed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from shared.nodes.base import Call, NodeError

Cut: TypeAlias = Callable[[str], Iterator[tuple[int, str]]]  # (start, text) of each chunk, in order

_MOST_DOCUMENTS: Final = 10_000
_MOST_CHUNKS: Final = 100_000
_MOST_CHARACTERS: Final = 20_000_000
# A sentence ends at a full stop and its like, with quotes and brackets that close; in Chinese and Japanese no space
# follows. A line that is empty ends one as well.
_ENDS, _CLOSES = r"[.!?\u2026]{1,10}", r"[\"'\u201d\u2019\u00bb)\]]{0,5}"
_WIDE = r"[\u3002\uff01\uff1f]{1,10}[\u201d\u2019\u300d\u300f\uff09]{0,5}"
_SENTENCE: Final = re.compile(rf"(?:{_ENDS}{_CLOSES}(?=\s)|{_WIDE}|\n\s*\n)\s*")  # bounded: no text takes long


def chunks(call: Call) -> list[dict[str, Any]]:
    """All chunks of all documents, in order. Raises NodeError InvalidInput, TooLarge."""
    given = call.inputs["documents"]
    if not isinstance(given, list) or len(given) > _MOST_DOCUMENTS:
        raise _bad(f"documents is an array of at most {_MOST_DOCUMENTS:,}")
    documents = [_document(item, i) for i, item in enumerate(given)]
    if sum(len(text) for text, _ in documents) > _MOST_CHARACTERS:
        raise NodeError("TooLarge", f"the documents have over {_MOST_CHARACTERS:,} characters", retryable=False)
    cut, until = _cut(call.config), time.monotonic() + call.timeout_seconds
    found: list[dict[str, Any]] = []
    for text, metadata in documents:
        if time.monotonic() > until:  # the call has been given up by now; its thread must end, too
            raise NodeError("Timeout", "the documents could not be cut in time")
        for number, (start, chunk) in enumerate(cut(text)):
            found.append(
                {"content": chunk, "metadata": {**metadata, "chunk": number, "start": start, "end": start + len(chunk)}}
            )
        if len(found) > _MOST_CHUNKS:
            raise NodeError("TooLarge", f"there are over {_MOST_CHUNKS:,} chunks; make them larger", retryable=False)
    return found


def _document(given: Any, position: int) -> tuple[str, Mapping[str, Any]]:
    if isinstance(given, str):
        return given, {}
    text = given.get("content", given.get("text")) if isinstance(given, Mapping) else None
    metadata = (given.get("metadata") or {}) if isinstance(given, Mapping) else None
    if not isinstance(text, str) or not isinstance(metadata, Mapping):
        raise _bad(f"documents[{position}] is neither text nor an object with content")
    return text, metadata


def _cut(config: Mapping[str, Any]) -> Cut:
    size, overlap = int(config["size"]), int(config["overlap"])
    if overlap >= size:
        raise _bad("the overlap is less than the size")
    match config["strategy"]:
        case "fixed":
            return lambda text: _fixed(text, size, overlap)
        case "sentence":
            return lambda text: _sentences(text, size, overlap)
        case "markdown":
            return _by(MarkdownSplitter(size, overlap))
        case "token":
            try:
                return _by(TextSplitter.from_tiktoken_model(config["tokens_of"], size, overlap))
            except Exception:  # what the library raises for a model it does not know
                raise _bad(f"the tokens of {config['tokens_of']!r} are not known here") from None
    return _by(TextSplitter(size, overlap))


def _by(splitter: TextSplitter | MarkdownSplitter) -> Cut:
    def cut(text: str) -> Iterator[tuple[int, str]]:
        # JSON can hold half a surrogate pair, which is no text in Rust; another character in its place keeps offsets.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for start, chunk in splitter.chunk_indices(whole):
            yield start, text[start : start + len(chunk)]

    return cut


def _fixed(text: str, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    for start in range(0, max(1, len(text) - overlap), size - overlap):
        if text[start : start + size].strip():
            yield start, text[start : start + size]


def _sentences(text: str, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    """Whole sentences, as many as fit; one that is longer than a chunk is cut at words."""
    held: list[tuple[int, int]] = []
    for start, end in _pieces(text, size):
        if held and end - held[0][0] > size:
            yield _stripped(text, held[0][0], held[-1][1])
            # Sentences at the end of a chunk begin the next one, as far as both limits leave room.
            while held and (held[-1][1] - held[0][0] > overlap or end - held[0][0] > size):
                held.pop(0)
        held.append((start, end))
    if held:
        yield _stripped(text, held[0][0], held[-1][1])


def _pieces(text: str, size: int) -> Iterator[tuple[int, int]]:
    words = TextSplitter(size)
    start = 0
    for end in [*(m.end() for m in _SENTENCE.finditer(text)), len(text)]:
        sentence = text[start:end]
        if len(sentence.strip()) > size:
            for at, piece in _by(words)(sentence):
                yield start + at, start + at + len(piece)
        elif sentence.strip():
            at, piece = _stripped(text, start, end)
            yield at, at + len(piece)
        start = end


def _stripped(text: str, start: int, end: int) -> tuple[int, str]:
    piece = text[start:end]
    kept = piece.lstrip()
    return start + len(piece) - len(kept), kept.rstrip()


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
