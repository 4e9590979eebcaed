"""The index of words: it finds what bm25s does, in any script, and what it takes has a bound."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest

from shared.collections import keywords
from shared.collections.keywords import Keywords, words


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("退款需要书面申请", "怎么申请退款"),
        ("返品は書面でお申し込みください", "書面での返品"),
        ("ขอคืนเงินเป็นลายลักษณ์อักษร", "คืนเงิน"),
        ("ຂໍເງິນຄືນເປັນລາຍລັກອັກສອນ", "ເງິນຄືນ"),
        ("ស្នើសុំសំណងជាលាយលក្ខណ៍អក្សរ", "សំណង"),
        ("ငွေပြန်အမ်းရန် စာဖြင့်တောင်းဆိုပါ", "ပြန်အမ်း"),
        ("환불은 서면으로 신청합니다", "서면으로"),
        ("Written in C, for 手机", "c"),
        ("税", "税"),
    ],
)
def test_words_of_scripts_without_spaces_and_of_one_letter(text: str, query: str):
    found = Keywords(["Leave is asked for in writing", "", text, "请假"]).scores(query)
    assert found.argmax() == 2
    assert np.count_nonzero(found) == 1


def test_the_words_of_an_index_are_bounded(monkeypatch):
    """Past the bound words share numbers, so a text may be found by a word that it has not; its own still finds it."""
    monkeypatch.setattr(keywords, "_OWN", 4)
    monkeypatch.setattr(keywords, "_SHARED", 1 << 10)
    texts = ["one two", "three four two", *(f"n{i} 退款申请{chr(0x4E00 + i)}" for i in range(300))]
    index = Keywords(texts)
    assert len(index._numbers) == 4
    assert np.flatnonzero(index.scores("two")).tolist() == [0, 1]
    for number, text in enumerate(texts):
        assert index.scores(text).argmax() == number
    assert np.count_nonzero(index.scores("退款")) >= 300
    assert np.count_nonzero(Keywords(texts[:2]).scores("five")) == 0


def test_an_index_is_the_same_made_in_pieces(monkeypatch):
    texts = [" ".join(f"w{(i * j) % 17}" for j in range(i % 9)) for i in range(60)]
    whole = Keywords(texts)
    monkeypatch.setattr(keywords, "_ENTRIES", 7)
    pieces = Keywords(texts)
    ours, theirs = bm25s.BM25(), [words(text) for text in texts]
    ours.index(theirs, show_progress=False)
    for query in ("w3", "w0 w16 w3", " ".join(texts)):
        assert np.array_equal(whole.scores(query), pieces.scores(query))
        assert np.allclose(whole.scores(query), ours.get_scores(words(query)), rtol=1e-5)
