from __future__ import annotations

import pytest

from shared.triggers.globs import fits

FITS = [
    ("**", ""),
    ("**", "a/b/c.txt"),
    ("*", ""),
    ("*.pdf", "july.pdf"),
    ("*.pdf", ".pdf"),
    ("**/*.pdf", "july.pdf"),
    ("**/*.pdf", "2026/07/july.pdf"),
    ("2026/**", "2026/07/july.pdf"),
    ("2026/**/july.pdf", "2026/july.pdf"),
    ("2026/**/july.pdf", "2026/a/b/july.pdf"),
    ("?.txt", "ü.txt"),
    ("a**b", "a/x/b"),
    ("a**/b", "ax/y/b"),
    ("[a].txt", "[a].txt"),
    ("*a*a*", "banana"),
]
FITS_NOT = [
    ("*", "a/b"),
    ("*.pdf", "2026/july.pdf"),
    ("*.pdf", "july.PDF"),
    ("?.txt", ".txt"),
    ("?.txt", "/.txt"),
    ("?", "ab"),
    ("2026/**", "2027/july.pdf"),
    ("**/b", "ab"),
    ("", "a"),
    ("a", ""),
    ("*a", "b"),
]


@pytest.mark.parametrize(("glob", "path"), FITS)
def test_what_fits(glob, path):
    assert fits(glob, path)


@pytest.mark.parametrize(("glob", "path"), FITS_NOT)
def test_what_does_not(glob, path):
    assert not fits(glob, path)


def test_no_glob_takes_a_long_time():
    assert not fits("*a" * 120 + "b", "a" * 512)
    assert not fits("**/" * 80 + "b", "a/" * 256)
