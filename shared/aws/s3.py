"""Objects in S3 under a tenant's prefix. Calls raise Unavailable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.aws.clients import tenant_client
from shared.aws.reach import reaching
from shared.tenancy import Tenant

_WHAT: Final = "the object store"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its bytes; `changed_at` in milliseconds since the epoch.

    `run` is the execution that wrote it, where that is known: only `find` says so.
    """

    name: str
    size: int
    changed_at: int
    run: str | None = None


class TenantObjects:
    """One tenant's objects of one kind: `<kind>/<tenant>/<name>` in a bucket, or `<tenant>/<name>` without a kind."""

    def __init__(self, tenant: Tenant, bucket: str, kind: str = "") -> None:
        self._client = tenant_client(tenant, "s3")
        self._bucket = bucket
        self._prefix = f"{kind}/{tenant.id}/" if kind else f"{tenant.id}/"

    def put(self, name: str, body: bytes, *, content_type: str | None = None, run: str | None = None) -> None:
        """Write an object; `run` is the execution that does it."""
        kind: dict[str, Any] = {"ContentType": content_type} if content_type else {}
        if run:
            kind["Metadata"] = {"run": run}
        with reaching(_WHAT):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body, **kind)

    def get(self, name: str, *, first: int | None = None) -> bytes | None:
        """An object's bytes, or only its `first` ones; None if there is no such object.

        S3 says AccessDenied to whoever may not list.
        """
        part = {"Range": f"bytes=0-{first - 1}"} if first else {}
        try:
            with reaching(_WHAT):
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **part)
                body: bytes = answer["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied"):
                return None
            raise
        return body

    def page(self, start: str, after: str, limit: int) -> tuple[list[ObjectInfo], bool]:
        """The objects whose names begin with `start` and come after `after`, by name; and whether there are more.

        Needs the right to list, which the data role has for tenants' files and collections only.
        """
        wanted: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + start, "MaxKeys": limit}
        if after:
            wanted["StartAfter"] = self._prefix + after
        with reaching(_WHAT):
            answer = self._client.list_objects_v2(**wanted)
        found = [_info(o["Key"].removeprefix(self._prefix), o["Size"], o) for o in answer.get("Contents", ())]
        return found, bool(answer.get("IsTruncated"))

    def find(self, name: str) -> ObjectInfo | None:
        """The object without its bytes, or None."""
        try:
            with reaching(_WHAT):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied", "403"):
                return None  # as for `get`
            raise
        return replace(_info(name, answer["ContentLength"], answer), run=answer.get("Metadata", {}).get("run"))

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        with reaching(_WHAT):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def upload_link(self, name: str, content_type: str, size: int, seconds: int) -> str:
        """An address to which anybody who has it can PUT the object, for so long: of this type, of this size only."""
        wanted = {"Bucket": self._bucket, "Key": self._prefix + name, "ContentType": content_type}
        url: str = self._client.generate_presigned_url(
            "put_object", Params={**wanted, "ContentLength": size}, ExpiresIn=seconds
        )
        return url

    def link(self, name: str, seconds: int, *, as_download: bool = False) -> str:
        """An address at which anybody who has it can read the object, for so long; a browser saves a download."""
        wanted = {"Bucket": self._bucket, "Key": self._prefix + name}
        if as_download:
            wanted["ResponseContentDisposition"] = "attachment"
        url: str = self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds)
        return url


def _info(name: str, size: int, answer: Any) -> ObjectInfo:
    return ObjectInfo(name, size, round(answer["LastModified"].timestamp() * 1000))
