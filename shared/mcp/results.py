"""What MCP servers give, as JSON. Loads the MCP SDK."""

from __future__ import annotations

import json
from typing import Any, Final

import mcp_types as types

# The formats that OpenAI's chat messages know, by their media types.
_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


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
    """A prompt's messages, as llm_chat takes them: `{role, content}`, where content is text or a list of parts."""
    return [
        {
            "role": each.role,
            "content": each.content.text if isinstance(each.content, types.TextContent) else [_part(each.content)],
        }
        for each in result.messages
    ]


def _part(given: types.ContentBlock) -> dict[str, Any]:
    """A part in the form of OpenAI's chat messages; what these have no form for is named in a text."""
    match given:
        case types.TextContent():
            return _text(given.text)
        case types.ImageContent() | types.AudioContent():
            return _media(given.mime_type, given.data, given.type)
        case types.EmbeddedResource():
            held = given.resource
            if isinstance(held, types.TextResourceContents):
                return _text(held.text)
            return _media(held.mime_type or "application/octet-stream", held.blob, f"resource {held.uri}")
        case types.ResourceLink():
            return _text(f"[left out: a link to the resource {given.uri}]")


def _media(mime_type: str, data: str, what: str) -> dict[str, Any]:
    """A part of what is in base64; `what` is how it is called where it has to be left out."""
    kind = mime_type.partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    if kind in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[kind]}}
    if kind == "application/pdf":
        return {"type": "file", "file": {"filename": "resource.pdf", "file_data": f"data:{kind};base64,{data}"}}
    return _text(f"[left out: {what} ({mime_type})]")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
