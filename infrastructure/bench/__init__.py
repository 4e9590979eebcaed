"""Figures: what the product costs beside the same thing done by hand. `make bench`; docs/benchmarks.md."""
