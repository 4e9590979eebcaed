import pytest

from tests import triggered


@pytest.fixture
def outside():
    with triggered.outside() as client:
        yield client
