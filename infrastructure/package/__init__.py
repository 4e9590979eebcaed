"""Builds the archives of the functions: our sources, pinned libraries for arm64, bytecode for Python 3.13."""
