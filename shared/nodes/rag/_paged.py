"""PDF, page by page. Loads pypdf."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

from shared.nodes.base import NodeError
from shared.nodes.rag._documents import MAX_CHARACTERS, Limits, Source, titled

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each oddity of each file


def pdf(source: Source, limits: Limits) -> Iterator[tuple[str, dict[str, Any]]]:
    """The text of each page that has any. Raises NodeError."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(source.body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise source.failed("EncryptedDocument", "this needs a password")
        about = {**titled(reader.metadata and reader.metadata.title), "pages": len(reader.pages)}
        if about["pages"] > limits.pages:
            raise source.failed("TooLarge", f"{about['pages']:,} pages; at most {limits.pages:,} are read")
        characters = 0
        for number, page in enumerate(reader.pages, 1):
            limits.check_time()
            text = page.extract_text()
            characters += len(text)
            if characters > MAX_CHARACTERS:
                raise source.failed("TooLarge", f"over {MAX_CHARACTERS:,} characters")
            yield text, {**about, "page": number}
    except NodeError:
        raise
    except (DependencyError, FileNotDecryptedError):
        raise source.failed("EncryptedDocument", "this is encrypted") from None
    except LimitReachedError:
        raise source.failed("TooLarge", "a part of this PDF unpacks to too much") from None
    except MemoryError:
        raise source.failed("TooLarge", "this PDF takes too much memory") from None
    except (PyPdfError, Exception) as error:
        # Whatever a file that is no good does to a parser: nothing here but that parser runs.
        raise source.failed("BrokenDocument", f"this PDF cannot be read ({type(error).__name__})") from None
