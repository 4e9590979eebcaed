import pytest

from shared import clock


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z", "2026-01-02T03:04:05.678Z"])
def test_what_is_read_can_be_written(text):
    assert clock.iso(clock.parse(text)) == text


def test_an_offset_counts_and_none_is_utc():
    assert clock.parse("2026-01-02T03:00:00+03:00") == clock.parse("2026-01-02T00:00:00Z")
    assert clock.parse("2026-01-02T00:00:00") == clock.parse("2026-01-02T00:00:00Z")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z", ""])
def test_what_could_not_be_written_is_not_read(text):
    with pytest.raises(ValueError, match=r".+"):
        clock.parse(text)
