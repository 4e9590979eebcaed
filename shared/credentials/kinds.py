"""The kinds of credentials: which fields each has, as JSON Schema. Every field is write-only over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.errors import Problem


def _text(title: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": 10_000, "title": title, "description": description, **more}


def _url(title: str, description: str, schemes: str = "https?") -> dict[str, Any]:
    return _text(title, description, pattern=f"^({schemes})://", maxLength=2_000)


def _kind(title: str, required: tuple[str, ...], **fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


_HOST: Final = _text("Host", "Name or address of the server.", maxLength=253)
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65_535, "title": "Port", "description": "Its port."}
_USER: Final = _text("User name", "Who signs in.")
_PASSWORD: Final = _text("Password", "Their password.")
_DATABASE: Final = _text("Database", "The database to use.", maxLength=200)
_TLS: Final = {
    "enum": ["require", "verify", "off"],
    "title": "TLS",
    "description": "`require`: encrypted; `verify`: the certificate is checked as well; `off`: in the clear.",
    "default": "verify",
}
_CA: Final = _text(
    "Certificate authority",
    "PEM certificates that are trusted beside the usual ones, for a server with an authority of its own.",
)
_TOKEN_URL: Final = _url("Token address", "Where tokens are fetched.")
_CLIENT_AUTH: Final = {
    "enum": ["header", "body"],
    "title": "Client signs in by",
    "description": "`header`: HTTP Basic, which every server must take; `body`: form fields, which some want instead.",
    "default": "header",
}
_SECRET: Final = (
    "Read as `secrets.<name>` in templates. At least eight characters: results are searched for it, to keep it out."
)
_SCOPE: Final = _text("Scope", "The rights asked for, separated by spaces.")

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "secret": _kind("A secret value", ("value",), value=_text("Value", _SECRET, minLength=8)),
    "basic": _kind("User name and password", ("username", "password"), username=_USER, password=_PASSWORD),
    "bearer": _kind("Bearer token", ("token",), token=_text("Token", "Sent as Authorization: Bearer.")),
    "api_key": _kind(
        "API key",
        ("name", "value"),
        name=_text("Name", "Of the header or the query parameter.", maxLength=200),
        value=_text("Key", "The key itself."),
        **{
            "in": {
                "enum": ["header", "query"],
                "title": "Goes into",
                "description": "Where it is sent.",
                "default": "header",
            }
        },
    ),
    "oauth2_client_credentials": _kind(
        "OAuth2, client credentials",
        ("token_url", "client_id", "client_secret"),
        token_url=_TOKEN_URL,
        client_id=_text("Client id", "As registered."),
        client_secret=_text("Client secret", "As registered."),
        client_auth=_CLIENT_AUTH,
        scope=_SCOPE,
        audience=_text("Audience", "Whom the token is for, where the server asks for it."),
    ),
    "oauth2_refresh_token": _kind(
        "OAuth2, refresh token",
        ("token_url", "client_id", "refresh_token"),
        token_url=_TOKEN_URL,
        client_id=_text("Client id", "As registered."),
        client_secret=_text("Client secret", "As registered; public clients have none."),
        client_auth=_CLIENT_AUTH,
        refresh_token=_text("Refresh token", "A newer one that the server hands out takes its place."),
        scope=_SCOPE,
    ),
    "openai": _kind(
        "OpenAI or compatible",
        (),
        api_key=_text("Key", "Endpoints of your own may need none."),
        base_url=_url("Address", "Of a compatible endpoint, up to and with `/v1`; OpenAI's own by default."),
    ),
    "anthropic": _kind(
        "Anthropic",
        ("api_key",),
        api_key=_text("Key", "Of the Anthropic console."),
        base_url=_url("Address", "Of a gateway; Anthropic's own by default."),
    ),
    "aws": _kind(
        "AWS access key",
        ("access_key_id", "secret_access_key", "region"),
        access_key_id=_text("Access key id", "Of an IAM user that may do no more than it has to.", maxLength=200),
        secret_access_key=_text("Secret access key", "Its secret.", maxLength=200),
        session_token=_text("Session token", "For temporary keys."),
        region=_text("Region", "Such as eu-central-1.", pattern="^[a-z0-9-]{1,30}$"),
        endpoint_url=_url("Endpoint", "Of a compatible service; AWS's own by default."),
    ),
    "postgres": _kind(
        "PostgreSQL",
        ("host", "database", "username", "password"),
        host=_HOST,
        port={**_PORT, "default": 5432},
        database=_DATABASE,
        username=_USER,
        password=_PASSWORD,
        tls=_TLS,
        ca=_CA,
    ),
    "mysql": _kind(
        "MySQL or MariaDB",
        ("host", "database", "username", "password"),
        host=_HOST,
        port={**_PORT, "default": 3306},
        database=_DATABASE,
        username=_USER,
        password=_PASSWORD,
        tls=_TLS,
        ca=_CA,
    ),
    "mongodb": _kind(
        "MongoDB",
        ("uri", "database"),
        uri=_url("Address", "mongodb:// or mongodb+srv://, with user name and password.", "mongodb(\\+srv)?"),
        database=_DATABASE,
        ca=_CA,
    ),
    "redis": _kind(
        "Redis",
        ("url",),
        url=_url("Address", "redis:// or rediss:// (with TLS), with user name and password.", "rediss?"),
        ca=_CA,
    ),
    "libsql": _kind(
        "libSQL",
        ("url",),
        url=_url("Address", "Of the database: libsql:// (Turso) or https://.", "libsql|https?"),
        token=_text("Token", "If it has one."),
    ),
    "qdrant": _kind(
        "Qdrant", ("url",), url=_url("Address", "Of the REST API."), api_key=_text("Key", "If it has one.")
    ),
    "neo4j": _kind(
        "Neo4j or Neptune",
        ("uri",),
        uri=_url("Address", "bolt, neo4j, or their +s forms.", "(bolt|neo4j)(\\+s|\\+ssc)?"),
        username=_USER,
        password=_PASSWORD,
        database=_DATABASE,
    ),
    "smtp": _kind(
        "SMTP",
        ("host", "from"),
        host=_HOST,
        port={**_PORT, "default": 587},
        username=_USER,
        password=_PASSWORD,
        tls={**_TLS, "enum": ["starttls", "tls", "off"], "default": "starttls", "description": "How it is encrypted."},
        **{"from": _text("Sender", "The address that mail comes from.", maxLength=320)},
    ),
    "notification": _kind(
        "Notification service",
        ("url",),
        url=_text(
            "Address",
            "A webhook's https://…, or an Apprise URL: slack://…, discord://…, tgram://…, workflows://… (Teams), "
            "twilio://…, vonage://…, msgbird://…",
        ),
    ),
}


def with_defaults(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and the defaults of the fields that have none."""
    fields = KINDS[kind]["properties"]
    return {name: field["default"] for name, field in fields.items() if "default" in field} | dict(values)


def faults(kind: str, values: Any) -> list[Problem]:
    """Why these are no values of that kind. No value is quoted, nor is any of its parts."""
    from shared.nodes.json_schemas import faults as in_schema

    if not isinstance(values, Mapping):
        return [Problem("invalid", "must be an object", "values")]
    known = KINDS[kind]["properties"]
    strangers = [
        Problem("unknown_field", f"{kind} has no such field", f"values.{n[:100]}") for n in values if n not in known
    ]
    if strangers:
        return strangers
    found = []
    for fault in in_schema(dict(values), KINDS[kind]):
        place, _, rule = fault.partition(": ")
        found.append(Problem("invalid", rule, "values" + place.removeprefix("$")))
    return found
