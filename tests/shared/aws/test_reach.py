import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from botocore.parsers import ResponseParserError

from shared.aws.reach import reaching
from shared.errors import Unavailable


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    "error",
    [
        answer("SlowDown"),
        answer("Throttling"),
        answer("Odd", 429),
        answer("Odd", 500),
        answer("Odd", 503),
        EndpointConnectionError(endpoint_url="x"),
        ResponseParserError("<html>"),
    ],
)
def test_what_may_pass_is_unavailable(error):
    with pytest.raises(Unavailable, match=r"^the shelf cannot be reached; try again$") as caught, reaching("the shelf"):
        raise error
    assert caught.value.__cause__ is error  # for the log


@pytest.mark.parametrize(
    "error",
    [answer("AccessDenied", 403), answer("NoSuchBucket", 404), ParamValidationError(report="ours"), ValueError("ours")],
)
def test_what_stays_wrong_is_raised_as_it_is(error):
    with pytest.raises(type(error)) as caught, reaching("the shelf"):
        raise error
    assert caught.value is error
