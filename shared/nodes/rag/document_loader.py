"""Reads documents."""

from __future__ import annotations

from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, Outputs, Port

TYPES = ("txt", "md", "html", "csv", "json", "pdf", "docx")


class DocumentLoader(Effect):
    """Text with metadata out of files, an address, a text or a query, whatever their type."""

    category = "rag"
    runner = "documents"
    display_name = "Document loader"
    description = "Reads files, a URL, a text or a SQL query as documents: text, Markdown, HTML, CSV, JSON, PDF, Word."
    inputs = {
        "source": Port(
            "string",
            required=True,
            description="A file's path, what paths begin with (`reports/`), a glob (`reports/**/*.pdf`), an http(s) "
            "address, a text, or a query.",
        ),
        "type": Port("string", description=f"{', '.join(TYPES)}; goes before the one in the config."),
    }
    outputs = {
        "documents": Port(
            "array",
            description="`{content, metadata}`: metadata has source and type, and where known title, page, row. A PDF "
            "is a document for each page; CSV, a JSON array and a query one for each row. HTML and Word become "
            "Markdown.",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "from": {
                "enum": ["auto", "file", "url", "text", "sql"],
                "title": "Source is",
                "description": "`auto`: an address if it begins with http:// or https://, or else files.",
                "default": "auto",
            },
            "type": {
                "enum": ["auto", *TYPES],
                "title": "Type",
                "description": "`auto`: by the first bytes, the name's ending, and what a server says.",
                "default": "auto",
            },
            "content_field": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "title": "Content field",
                "description": "CSV, JSON and SQL: the field that is the content; the others become metadata. Not "
                "given: all fields are the content, as lines of `name: value`.",
            },
            "encoding": {
                "type": "string",
                "maxLength": 40,
                "title": "Encoding",
                "description": "Of text, such as latin-1. Not given: by the byte order mark, UTF-8 if it fits, or else "
                "a guess.",
            },
            "max_pages": {
                "type": "integer",
                "minimum": 1,
                "maximum": 5000,
                "title": "Most pages",
                "description": "A PDF with more pages fails with TooLarge.",
                "default": 2000,
            },
            "skip_broken": {
                "type": "boolean",
                "title": "Skip what cannot be read",
                "description": "What is broken, encrypted or of an unknown type is left out, with a line in the log.",
                "default": False,
            },
            "credential": credential_field("postgres", "mysql", description="The database of a query."),
        },
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "FileNotFound",
        "UnsupportedType",
        "BrokenDocument",
        "EncryptedDocument",
        "TooLarge",
        *HTTP_CREDENTIAL_ERRORS,
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "Timeout",
        "HttpError",
        "InvalidResponse",
        "ResponseTooLarge",
        "TooManyRedirects",
        "AuthenticationFailed",
        "QueryFailed",
        "ReadOnly",
        "PermissionDenied",
        "Conflict",
        "TooManyRows",
    )
    example = {"config": {}, "inputs": {"source": "handbook/**/*.pdf"}}
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """`{documents}`. Raises NodeError with one of `errors`."""
        from shared.nodes.rag._document_loader import load

        return await load(call)
