"""A file among the tenant's files."""

from __future__ import annotations

from shared.nodes._tenant_things import ERRORS, ask
from shared.nodes.base import Call, Effect, Outputs, Port


class FileWrite(Effect):
    """Writes a file, over one that is there, so that a repeated attempt does no harm."""

    category = "output"
    display_name = "Write a file"
    description = "Writes text, JSON, CSV or bytes to a path among the tenant's files, over a file that is there."
    inputs = {
        "path": Port(
            "string",
            required=True,
            description="Such as `reports/july.csv`: at most 512 bytes, no leading slash, no part that is `..`.",
        ),
        "content": Port("any", required=True, description="What the file holds: at most 50,000,000 bytes."),
    }
    outputs = {
        "written": Port("boolean", description="True: the file is there."),
        "path": Port("string", description="Its path, in Unicode's form NFC."),
        "size": Port("number", description="Its bytes."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "format": {
                "enum": ["auto", "text", "json", "csv", "base64"],
                "title": "Format",
                "description": "`auto`: text as it is, anything else as JSON. `csv`: from an array of objects. "
                "`base64`: bytes, from text or from an object {base64, content_type}.",
                "default": "auto",
            },
            "content_type": {
                "type": "string",
                "maxLength": 200,
                "x-template": True,
                "title": "Content type",
                "description": "What a download says it is; by default that of the format.",
            },
        },
        "additionalProperties": False,
    }
    errors = ERRORS
    example = {
        "config": {"format": "csv"},
        "inputs": {"path": "reports/july.csv", "content": [{"order": "A-17", "amount": 12.5}]},
    }

    async def execute(self, call: Call) -> Outputs:
        """`{written, path, size}`. Raises NodeError with one of `errors`."""
        path, size = await ask(lambda: _write(call))
        return {"written": True, "path": path, "size": size}


def _write(call: Call) -> tuple[str, int]:
    from shared.nodes.outputs._file_formats import encoded

    body, usual = encoded(call.inputs["content"], call.config["format"])
    return call.world.files.write(call.inputs["path"], body, call.config.get("content_type") or usual), len(body)
