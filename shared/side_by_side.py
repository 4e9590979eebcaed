"""Working through things of several sources in a few threads, while the things are still being found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_turn(sources: Iterable[Iterator[T]]) -> Iterator[T]:
    """One thing of each source, then the next of each, until all have ended."""
    left = list(sources)
    while left:
        for source in tuple(left):
            try:
                yield next(source)
            except StopIteration:
                left.remove(source)


def side_by_side(things: Iterable[T], work: Callable[[T], None], threads: int) -> None:
    """Do this work for each thing, in so many threads. A thing is asked for when a thread is free for it, by one thread
    at a time. What `things` or `work` raises is raised once all threads have ended; of those that go on, each does.
    """
    lock, rest = threading.Lock(), iter(things)

    def one_after_another() -> None:
        while True:
            with lock:
                try:
                    thing = next(rest)
                except StopIteration:
                    return
            work(thing)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(one_after_another) for _ in range(threads)]
    for each in running:
        each.result()
