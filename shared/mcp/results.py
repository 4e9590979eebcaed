"""What MCP servers give, as JSON. Loads the MCP SDK."""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types


def content(parts: Any) -> list[dict[str, Any]]:
    """Content as MCP writes it: `{type: text, text}`, `{type: image, data, mimeType}`, …"""
    return [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in parts]


def plain(result: types.CallToolResult) -> Any:
    """A tool's result as one value: the structured one, else its text (as JSON where it is), else its content."""
    if result.structured_content is not None:
        return result.structured_content
    if not result.content:
        return None
    if not all(isinstance(part, types.TextContent) for part in result.content):
        return content(result.content)
    text = "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except (ValueError, RecursionError):
        return text


def contents(result: types.ReadResourceResult) -> Any:
    """A resource's content: text, `{base64, mime_type}`, or a list of those where there are several."""
    found = [
        each.text
        if isinstance(each, types.TextResourceContents)
        else {"base64": each.blob, "mime_type": each.mime_type}
        for each in result.contents
    ]
    return found[0] if len(found) == 1 else found


def messages(result: types.GetPromptResult) -> list[dict[str, Any]]:
    """A prompt's messages, as llm_chat takes them: `{role, content}`; what is no text stays as MCP writes it."""
    return [
        {
            "role": each.role,
            "content": each.content.text
            if isinstance(each.content, types.TextContent)
            else each.content.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        for each in result.messages
    ]
