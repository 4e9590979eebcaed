"""What nodes say of models, and what that costs."""

from __future__ import annotations

import pytest

from shared.usage.prices import Prices, listed, plain
from shared.usage.tokens import NOTHING, Used, used


@pytest.mark.parametrize(
    ("usage", "models"),
    [
        ({}, {}),
        ({"milliseconds": 5}, {}),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "model": "m"}, {"m": (7, 3, 10)}),
        ({"total_tokens": 10}, {"unknown": (0, 0, 10)}),
        ({"total_tokens": "10", "model": "m"}, {}),
        ({"total_tokens": True, "model": "m"}, {}),
        ({"total_tokens": -1, "model": "m"}, {}),
        ({"total_tokens": 4, "model": 7}, {"unknown": (0, 0, 4)}),
        ({"total_tokens": 4, "model": "x" * 500}, {"x" * 200: (0, 0, 4)}),
        (
            {"total_tokens": 9, "models": {"a": {"prompt_tokens": 4, "total_tokens": 4}, "b": {"total_tokens": 5}}},
            {"a": (4, 0, 4), "b": (0, 0, 5)},
        ),
        ({"total_tokens": 9, "models": {"a": 3, "b": {"total_tokens": 0}}}, {}),
    ],
)
def test_usage_is_read(usage, models):
    assert used(usage).models == models


@pytest.mark.parametrize(("cost", "nano"), [(0.5, 500_000_000), (0, 0), (-1, None), ("1", None), (True, None)])
def test_a_cost_of_the_nodes_own_goes_before_prices(cost, nano):
    found = used({"total_tokens": 1_000_000, "prompt_tokens": 1_000_000, "model": "gpt-4o", "cost": cost})
    assert found.nano == nano
    assert found.cost(Prices()) == (2_500_000_000 if nano is None else nano)


def test_what_was_added_and_never_taken_back():
    before, after = Used({"a": (5, 5, 10), "b": (1, 1, 2)}), Used({"a": (7, 5, 12)}, 40)
    assert after.since(before) == Used({"a": (2, 0, 2)}, 40)
    assert NOTHING.since(before) == NOTHING
    assert before.since(NOTHING) == before


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("", ""),
    ],
)
def test_a_models_plain_name(model, name):
    assert plain(model) == name


def test_prices_of_the_tenants_own_come_first_and_unknown_models_have_none():
    prices = Prices({"gpt-4o": (1.0, 2.0), "house": (0.0, 0.5)})
    assert prices.nano("gpt-4o", 1_000, 500, 1_500) == 2_000_000
    assert prices.nano("gpt-4o-2024-08-06", 1_000, 0, 1_000) == 2_500_000  # that one has the list's
    assert prices.nano("house", 10, 10, 20) == 5_000
    assert prices.nano("nobody-knows-it", 1_000, 500, 1_500) is None


def test_where_only_the_total_is_known_it_is_what_was_asked():
    assert Prices().nano("text-embedding-3-small", 0, 0, 1_000_000) == 20_000_000


def test_the_list_is_dated_and_of_plain_names():
    assert all(plain(model) == model for model in listed())
    assert all(asked >= 0 and said >= 0 and asked + said > 0 for asked, said in listed().values())
