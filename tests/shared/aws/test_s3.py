import pytest
from botocore.exceptions import ClientError

from shared.aws.s3 import TenantObjects
from shared.settings import settings


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


def test_another_failure_is_raised(objects, monkeypatch):
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "HeadObject")

    monkeypatch.setattr(objects._client, "head_object", refuse)
    with pytest.raises(ClientError):
        objects.find("a")


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
