"""Live events over WebSockets. A client may always lose its connection: it comes back and asks for what it missed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from shared import limits
from shared.aws import websocket
from shared.errors import AppError, BadRequest, Conflict, Unauthorized
from shared.live import connections
from shared.live.connections import Connection
from shared.live.store import ChannelStore
from shared.log import logger
from shared.members import access
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant

_CHANNEL: Final = re.compile(r"tenant|execution:([A-Za-z0-9_-]{1,120})")
_SEQUENCE: Final = re.compile(r"[0-9-]{0,80}")
_MAX_CHANNELS: Final = 50
_MAX_REPLAYED: Final = 500
_TOGETHER: Final = 8  # connections that are sent to at the same time

Frame = Mapping[str, Any]


def connect(connection_id: str, token: str | None) -> None:
    """Let a caller in by an API key or a token of the user pool. Raises Unauthorized, Forbidden, RateLimited."""
    if not token:
        raise Unauthorized("connect with ?token=<API key or token of the user pool>")
    who = access.by_api_key(token) if token.startswith("sw_") else access.by_token(token)
    who.require("viewer", "executions:read")
    limits.count_request(who.tenant)
    connections.add(connection_id, who.tenant)


def disconnect(connection_id: str) -> None:
    """Forget a connection. Doing it twice is no error."""
    connections.forget(connection_id)


def receive(connection_id: str, body: str) -> None:
    """Do what a client's frame asks, and answer it on the connection; a frame that asks for nothing gets an error."""
    known = connections.find(connection_id)
    if known is None:
        _answer(connection_id, [_error("not_connected", "connect again")])
        return
    try:
        limits.count_request(known.tenant)
        frames = _act(known, _parsed(body))
    except AppError as error:
        frames = [_error(error.code, error.detail)]
    _answer(connection_id, frames)


def push(tenant: Tenant, channels: Sequence[str], frames: Sequence[Frame]) -> None:
    """Send frames, in order, to everybody who watches one of the channels. Who cannot be reached is left behind."""
    if not frames:
        return
    watching: dict[str, list[str]] = {}
    store = ChannelStore(TenantTable(tenant))
    for channel in channels:
        for connection_id in store.watchers(channel):
            watching.setdefault(connection_id, []).append(channel)

    def send(watcher: tuple[str, list[str]]) -> None:
        connection_id, by = watcher
        try:
            if not all(websocket.post(connection_id, frame) for frame in frames):
                connections.forget(connection_id, tenant, by)
        except Exception as error:  # one connection's trouble is not the others'; the events can be read again
            logger("live").warning("not_pushed", tenant_id=tenant.id, error=type(error).__name__)

    if watching:
        with ThreadPoolExecutor(_TOGETHER) as pool:
            list(pool.map(send, watching.items()))


def _parsed(body: str) -> dict[str, Any]:
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the frame is not JSON", code="bad_frame") from None
    if not isinstance(frame, dict):
        raise BadRequest('the frame must be an object such as {"action": "ping"}', code="bad_frame")
    return frame


def _act(known: Connection, frame: dict[str, Any]) -> list[Frame]:
    action = frame.get("action")
    if action == "ping":
        return [{"type": "pong"}]
    if action not in ("subscribe", "unsubscribe"):
        raise BadRequest("action must be subscribe, unsubscribe or ping", code="bad_action")
    channel, after = frame.get("channel"), frame.get("after")
    found = _CHANNEL.fullmatch(channel) if isinstance(channel, str) else None
    if channel is None or found is None:
        raise BadRequest("channel must be execution:<id> or tenant", code="bad_channel")
    if action == "unsubscribe":
        connections.unwatch(known, channel)
        return [{"type": "unsubscribed", "channel": channel}]
    if after is not None and (not isinstance(after, str) or not _SEQUENCE.fullmatch(after) or found[1] is None):
        raise BadRequest("after must be the sequence of an event of the execution, or empty", code="bad_after")
    if len({*known.channels, channel}) > _MAX_CHANNELS:
        raise Conflict(f"a connection watches at most {_MAX_CHANNELS} channels", code="too_many_channels")
    return _subscribe(known, channel, found[1], after)


def _subscribe(known: Connection, channel: str, execution_id: str | None, after: str | None) -> list[Frame]:
    """Watch first, read second: an event in between comes twice rather than never."""
    runs = RunStore(TenantTable(known.tenant))
    if execution_id is not None:
        runs.get(execution_id, consistent=True)  # NotFound, for another tenant's too
    connections.watch(known, channel)
    done: dict[str, Any] = {"type": "subscribed", "channel": channel}
    if execution_id is None or after is None:
        return [done]
    frames, more = _missed(runs, execution_id, after)
    return [*frames, {**done, "after": frames[-1]["sequence"] if frames else after, "more": more}]


def _missed(runs: RunStore, execution_id: str, after: str) -> tuple[list[Frame], bool]:
    frames: list[Frame] = []
    while len(frames) < _MAX_REPLAYED:
        page = runs.events(execution_id, after, _MAX_REPLAYED - len(frames))
        for item in page.items:
            after = item["SK"].removeprefix("E#")
            shown = {k: v for k, v in item.items() if k not in ("PK", "SK", "ttl")}
            frames.append({"sequence": after, **shown})
        if page.last is None:
            return frames, False
    return frames, True


def _error(code: str, message: str) -> Frame:
    return {"type": "error", "code": code, "message": message}


def _answer(connection_id: str, frames: Sequence[Frame]) -> None:
    if not all(websocket.post(connection_id, frame) for frame in frames):
        connections.forget(connection_id)
