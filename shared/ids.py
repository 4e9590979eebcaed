"""Ids: a prefix and a ULID (https://github.com/ulid/spec), so that they sort by the time they were made.

Prefixes: `t` tenant (no separator: it goes into keys), `us_` user, `ut_` user type, `key_` API key, `wf_` workflow,
`ex_` execution, `tk_` task, `wh_` webhook, `whs_` webhook subscription, `sch_` schedule, `co_` collection,
`th_` thread, `ev_` event, `nt_` notification, `tp_` template, `gen_` generation, `sh_` shared link,
`gi_` guided conversation, `req_` request.
"""

from __future__ import annotations

import hashlib
import os

from shared.clock import now_ms

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def ulid(at_ms: int | None = None) -> str:
    """26 characters: 48 bits of time, 80 bits of randomness."""
    return time_part(now_ms() if at_ms is None else at_ms) + _base32(int.from_bytes(os.urandom(10), "big"), 16)


def time_part(at_ms: int) -> str:
    """What the ULIDs of this millisecond begin with."""
    return _base32(at_ms, 10)


def new_id(prefix: str) -> str:
    """A fresh id such as `wf_01J…`."""
    return f"{prefix}_{ulid()}"


def digest(*parts: str) -> str:
    """32 hex digits that stand for these parts, in this order, and for nothing else."""
    text = "\x1f".join(f"{len(p)}:{p}" for p in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
