"""A lock that is given to whoever has waited longest: with Python's own, the one who lets it go mostly gets it again."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import Protocol

_LOOK_UP_S = 0.005


class Flag(Protocol):
    """What can call off the waiting."""

    def is_set(self) -> bool: ...  # noqa: D102


class Turns:
    """First come, first served; whoever has the turn may take it again inside."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._queue: deque[_Place] = deque()

    @contextlib.contextmanager
    def take(self, flag: Flag | None = None) -> Iterator[bool]:
        """Wait for the turn and have it inside of `with`. False, without the turn, if `flag` was set while waiting."""
        mine = self._enter(flag)
        try:
            yield mine
        finally:
            if mine:
                self._leave()

    def __enter__(self) -> Turns:
        self._enter(None)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _enter(self, flag: Flag | None) -> bool:
        me = threading.get_ident()
        with self._guard:
            if self._owner in (None, me):
                self._owner, self._depth = me, self._depth + 1
                return True
            place = _Place(me)
            self._queue.append(place)
        try:
            # Called off also by polling: the flag is set by a plain store, which wakes nobody.
            while not place.granted.acquire(timeout=_LOOK_UP_S if flag is not None else -1):
                if flag is not None and flag.is_set() and self._withdraw(place):
                    return False
        except BaseException:  # Ctrl-C
            if not self._withdraw(place):
                self._leave()
            raise
        return True

    def _withdraw(self, place: _Place) -> bool:
        """Leave the queue. False if the turn was granted meanwhile."""
        with self._guard:
            if place not in self._queue:
                return False
            self._queue.remove(place)
            return True

    def _leave(self) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            self._owner = None
            if self._queue:
                place = self._queue.popleft()
                self._owner, self._depth = place.thread, 1
                place.granted.release()


class _Place:
    """A place in the queue."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.granted = threading.Lock()
        self.granted.acquire()
