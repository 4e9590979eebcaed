"""Show or set what holds for a tenant, with the operator's own AWS credentials and `SW_TABLE` as the functions have it.

python -m infrastructure.terms <tenant id> [--set runs_per_day=5000] [--unset tokens_per_month]
                                           [--price my-model=1.5,6] [--no-price my-model]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from shared.store.table import ConditionFailed, TenantTable
from shared.tenancy import from_envelope
from shared.usage.model import BadOverride, Terms, with_price, with_quota
from shared.usage.store import UsageStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it, and show what holds then. Functions know it within half a minute."""
    wanted = argparse.ArgumentParser(prog="python -m infrastructure.terms", description=__doc__.splitlines()[0])
    wanted.add_argument("tenant", help="its id, t…")
    wanted.add_argument("--set", action="append", default=[], metavar="QUOTA=NUMBER")
    wanted.add_argument("--unset", action="append", default=[], metavar="QUOTA", help="back to the default")
    wanted.add_argument("--price", action="append", default=[], metavar="MODEL=INPUT,OUTPUT")
    wanted.add_argument("--no-price", action="append", default=[], metavar="MODEL")
    given = wanted.parse_args(arguments)
    try:
        store = UsageStore(TenantTable(from_envelope({"tenant": given.tenant})))
        before = store.terms()
        terms = _changed(before, given)
        if terms != before:
            store.set_terms(terms)
    except (BadOverride, ValueError) as error:
        print(f"not set: {error}", file=sys.stderr)
        return 1
    except ConditionFailed:
        print("not set: there is no such tenant", file=sys.stderr)
        return 1
    for name, value in asdict(terms.quotas).items():
        print(f"{name} = {value:,}")
    for model, (asked, said) in sorted(terms.prices.own.items()):
        print(f"price {model} = {asked:g},{said:g}")
    return 0


def _changed(terms: Terms, given: argparse.Namespace) -> Terms:
    for text in given.set:
        name, _, value = text.partition("=")
        terms = with_quota(terms, name, value)
    for name in given.unset:
        terms = with_quota(terms, name, None)
    for text in given.price:
        model, _, price = text.rpartition("=")
        terms = with_price(terms, model, price)
    for model in given.no_price:
        terms = with_price(terms, model, None)
    return terms


if __name__ == "__main__":
    sys.exit(main())
