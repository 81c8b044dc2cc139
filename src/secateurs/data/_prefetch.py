"""Work done ahead of time by threads, handed out in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetched", "usual_threads"]

T = TypeVar("T")


def prefetched(jobs: Iterable[Callable[[], T]], *, threads: int, ahead: int) -> Generator[T, None, None]:
    """The result of each job, in order, with at most `ahead` more under way or waiting.

    Threads rather than processes: image decoders let go of the interpreter's lock, and nothing is copied between
    processes. A job's error is raised where its result would have come. However the loop ends, no thread is left.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="secateurs-data")
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def usual_threads() -> int:
    """One for each core that this process may use, at most 16; ranks on one machine share its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, min(16, cores // max(1, int(ranks) if ranks.isdecimal() else 1)))
