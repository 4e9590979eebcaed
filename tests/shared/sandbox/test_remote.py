"""The sandbox function as a runner calls it, over moto's Lambda."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend

from infrastructure.local.interpreter import Functions
from shared.errors import Invalid, TooLarge, Unavailable
from shared.sandbox.remote import SandboxFunction
from shared.settings import settings

REQUEST = {"language": "python", "seconds": 5, "code": "input + 1", "input": 1}


@pytest.fixture
def functions(aws: Any) -> Iterator[Functions]:
    found = Functions()
    with patch.object(LambdaBackend, "invoke", lambda *given: found.called(*given)):
        yield found


def sandbox() -> SandboxFunction:
    return SandboxFunction(settings().sandbox_arn)


def test_it_answers(functions: Functions) -> None:
    answer = dict(sandbox().run(REQUEST))
    assert answer.pop("milliseconds") > 0
    assert answer == {"result": 2, "stdout": ""}


def test_a_function_that_fails_is_not_there(functions: Functions) -> None:
    def raises(event: Any, context: Any) -> Any:
        raise ValueError("secret")

    functions.handlers["sandbox"] = raises
    with pytest.raises(Unavailable) as caught:
        sandbox().run(REQUEST)
    assert "secret" not in caught.value.detail
    functions.handlers["sandbox"] = lambda *_: None
    with pytest.raises(Unavailable):
        sandbox().run(REQUEST)


def test_what_is_too_large_is_not_sent(functions: Functions) -> None:
    functions.handlers["sandbox"] = lambda *_: {"result": "sent"}
    with pytest.raises(TooLarge, match="4,000,000"):
        sandbox().run({**REQUEST, "input": "x" * 4_000_001})


def test_what_is_no_json_is_not_sent(functions: Functions) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for given in (deep, object()):
        with pytest.raises(Invalid):
            sandbox().run({**REQUEST, "input": given})


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ServiceException"])
def test_a_lambda_with_too_much_to_do(functions: Functions, code: str) -> None:
    refusal = LambdaClientError(code, "no")
    refusal.code = 429 if code.startswith("Too") else 500
    with patch.object(LambdaBackend, "invoke", side_effect=refusal), pytest.raises(Unavailable, match="try again"):
        sandbox().run(REQUEST)


def test_another_refusal_is_a_fault_of_ours(functions: Functions) -> None:
    refusal = LambdaClientError("AccessDeniedException", "no")
    with patch.object(LambdaBackend, "invoke", side_effect=refusal), pytest.raises(ClientError, match="AccessDenied"):
        sandbox().run(REQUEST)
