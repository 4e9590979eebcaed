"""Events that a tenant sends; workflows listen for them with `event_listener`."""

from __future__ import annotations

import json
from typing import Annotated, Final

from fastapi import APIRouter, Response

from functions.api.deps import Made, Once, require
from functions.api.schemas.events import EventIn, EventOut
from shared.errors import TooLarge
from shared.tenancy import Principal
from stepfunctions.announce import send

router = APIRouter(prefix="/events", tags=["events"])
Sender = Annotated[Principal, require("operator", "events:write")]
_MAX_BYTES: Final = 262_144


@router.post("", status_code=202, response_model=EventOut)
def send_event(body: EventIn, who: Sender, once: Once) -> Response:
    """Send an event. It is taken when this answers; the runs that it starts begin within seconds."""
    size = len(json.dumps(body.data, ensure_ascii=False).encode(errors="replace"))
    if size > _MAX_BYTES:
        raise TooLarge(f"an event's data has at most {_MAX_BYTES:,} bytes of JSON; this has {size:,}")

    def make() -> Made:
        sent = send(who.tenant, body.type, body.source, body.data, body.id)
        return Made(202, EventOut(id=sent["id"], source=sent["source"], type=sent["detail-type"], time=sent["time"]))

    return once(who, body, make)
