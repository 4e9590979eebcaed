"""Objects in S3 under a tenant's prefix."""

from __future__ import annotations

from botocore.exceptions import ClientError

from shared.aws.clients import tenant_client
from shared.tenancy import Tenant


class TenantObjects:
    """One tenant's objects of one kind: `<kind>/<tenant>/<name>` in a bucket."""

    def __init__(self, tenant: Tenant, bucket: str, kind: str) -> None:
        self._client = tenant_client(tenant, "s3")
        self._bucket = bucket
        self._prefix = f"{kind}/{tenant.id}/"

    def put(self, name: str, body: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body)

    def get(self, name: str, *, first: int | None = None) -> bytes | None:
        """An object's bytes, or only its `first` ones; None if there is no such object.

        S3 says AccessDenied to whoever may not list.
        """
        part = {"Range": f"bytes=0-{first - 1}"} if first else {}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **part)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied"):
                return None
            raise
        body: bytes = answer["Body"].read()
        return body

    def link(self, name: str, seconds: int) -> str:
        """An address at which anybody who has it can read the object, for so long."""
        wanted = {"Bucket": self._bucket, "Key": self._prefix + name}
        url: str = self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds)
        return url
