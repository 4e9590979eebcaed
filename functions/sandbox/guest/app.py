"""Runs a tenant's Python. Compiled, with CPython, into WebAssembly by `infrastructure/package/interpreter.py`.

The modules imported here are those that a tenant's code can import: they are part of the interpreter's memory when it
is compiled, and there is no file system to load another one from.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bisect
import calendar
import cmath
import collections.abc
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import enum
import fractions
import functools
import hashlib
import heapq
import hmac
import html
import io
import itertools
import json
import linecache
import math
import numbers
import operator
import pprint
import random
import re
import secrets
import statistics
import string
import struct
import sys
import textwrap
import time
import traceback
import types
import typing
import unicodedata
import urllib.parse
import uuid
import zlib
from typing import Any

import wit_world

MODULES = (
    base64, binascii, bisect, calendar, cmath, collections, contextlib, copy, csv, dataclasses, datetime, decimal,
    difflib, enum, fractions, functools, hashlib, heapq, hmac, html, io, itertools, json, math, numbers, operator,
    pprint, random, re, secrets, statistics, string, struct, textwrap, time, types, typing, unicodedata, urllib.parse,
    uuid, zlib,
)  # fmt: skip
FILE = "code.py"
MAX_STDOUT = 1_000_000  # characters
MAX_MESSAGE = 10_000


class Stdout(io.TextIOBase):
    """Keeps what is printed, up to a limit."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keep a text. Raises OSError when it is too much."""
        self.size += len(text)
        if self.size > MAX_STDOUT:
            raise OSError(f"more than {MAX_STDOUT:,} characters were printed")
        self.parts.append(text)
        return len(text)

    def text(self) -> str:
        """All of it, as valid Unicode."""
        return "".join(self.parts).encode(errors="replace").decode()


def execute(code: str, given: Any) -> Any:
    """The variable `result`; without one, the value of the last line if that is an expression."""
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)  # tracebacks show the lines
    tree = ast.parse(code, FILE)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    scope: dict[str, Any] = {"__name__": "__main__", "input": given}
    exec(compile(tree, FILE, "exec"), scope)  # noqa: S102 - what this file is for, where nothing can be reached
    value = None
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), FILE, "eval"), scope)  # noqa: S307
    return scope.get("result", value)


def told(error: BaseException) -> str:
    """The traceback, from the tenant's own code on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILE:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE // 2]}\n…\n{text[-MAX_MESSAGE // 2 :]}"


def answer(code: str, given: Any, stdout: Stdout) -> dict[str, Any]:
    """`{result}`, or `{error, message}`."""
    try:
        value = execute(code, given)
    except MemoryError:
        return {"error": "MemoryExceeded", "message": "the code used up its memory"}
    except BaseException as error:  # SystemExit too: there is nothing to leave
        if stdout.size > MAX_STDOUT:
            return {"error": "OutputTooLarge", "message": f"the code printed more than {MAX_STDOUT:,} characters"}
        return {"error": "CodeFailed", "message": told(error)}
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return {"error": "InvalidResult", "message": f"the result is not JSON: {error}"[:1000]}
    return {"result": value}


def sleep(seconds: float) -> None:
    """Waits by computing: the interpreter has no way to rest."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]  # made from world.wit when this is compiled
    """What world.wit says."""

    def run(self, request: str) -> str:
        """Run `{code, input}`; gives `{result, stdout}` or `{error, message, stdout}`."""
        random.seed()  # its state, too, was set when this was compiled
        asked, stdout = json.loads(request), Stdout()
        sys.stdout = sys.stderr = stdout
        setattr(time, "sleep", sleep)  # noqa: B010 - what a tenant's code finds there
        given = answer(asked["code"], asked["input"], stdout)
        return json.dumps({**given, "stdout": stdout.text()})
