"""What the types that work on a collection declare alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.collections.model import MAX_K
from shared.nodes._credentials import CREDENTIAL_ERRORS
from shared.nodes.ai._fields import MODEL_ERRORS

COLLECTION_ERRORS: Final = ("CollectionNotFound", "TooLarge", *CREDENTIAL_ERRORS, *MODEL_ERRORS)
COLLECTION_FIELD: Final[Mapping[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "x-template": True,
    "title": "Collection",
    "description": "One of the tenant's collections, by name.",
}
FILTER_FIELD: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "Filter",
    "description": 'Only passages whose metadata fit, such as {"lang": "en", "page": {"$lt": 10}}. Conditions: '
    "$eq $ne $in $nin $gt $gte $lt $lte $exists, $and $or $not.",
}
K_FIELD: Final[Mapping[str, Any]] = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_K,
    "title": "How many",
    "description": "At most so many passages are found.",
    "default": 5,
}
