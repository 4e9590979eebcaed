from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from shared.aws.s3 import TenantObjects
from shared.errors import Unavailable
from shared.settings import settings
from tests.trouble import client_error, failing


@pytest.fixture
def objects(tenant) -> TenantObjects:
    return TenantObjects(tenant, settings().files_bucket)


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "AccessDenied", "403"])
def test_what_may_not_be_listed_is_not_there(objects, monkeypatch, code: str):
    """S3 answers so for a missing object, as the right to list is one of a prefix."""

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, "HeadObject")

    monkeypatch.setattr(objects._client, "head_object", refuse)
    assert objects.find("a") is None


CALLS: dict[str, Callable[[TenantObjects], object]] = {
    "put": lambda objects: objects.put("a", b"1"),
    "get": lambda objects: objects.get("a"),
    "page": lambda objects: objects.page("", "", 1),
    "find": lambda objects: objects.find("a"),
    "delete": lambda objects: objects.delete("a"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("code", "expected"), [("SlowDown", Unavailable), ("NoSuchBucket", ClientError)])
def test_another_failure_is_raised(objects, call: str, code: str, expected: type[Exception]):
    with failing("s3", client_error(code)), pytest.raises(expected):
        CALLS[call](objects)


def test_a_body_that_breaks_off_may_be_read_again(objects, monkeypatch):
    """The answer has begun by then, and botocore tries no more."""

    class Broken:
        def read(self) -> bytes:
            raise ReadTimeoutError(endpoint_url="x")

    monkeypatch.setattr(objects._client, "get_object", lambda **_: {"Body": Broken()})
    with pytest.raises(Unavailable):
        objects.get("a")


def test_without_a_kind_the_tenant_comes_first(tenant, other_tenant):
    bucket = settings().files_bucket
    TenantObjects(tenant, bucket).put("a", b"1")
    TenantObjects(tenant, bucket, "kind").put("a", b"2")
    assert TenantObjects(tenant, bucket).get("a") == b"1"
    assert [o.name for o in TenantObjects(tenant, bucket).page("", "", 10)[0]] == ["a"]
    assert TenantObjects(other_tenant, bucket).page("", "", 10) == ([], False)
    assert TenantObjects(other_tenant, bucket).find("a") is None
    TenantObjects(other_tenant, bucket).delete("a")
    assert TenantObjects(tenant, bucket).get("a") == b"1"
