"""Stores with an encoder that needs no network; `key` runs a test on a plain and on an encrypted file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from affectrt import MemoryStore
from memory_tools import WORDS, Clock, bag_of_words


@pytest.fixture(params=[None, "correct horse"], ids=["plain", "encrypted"])
def key(request: pytest.FixtureRequest) -> str | None:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., MemoryStore]]:
    opened: list[MemoryStore] = []

    def open_(**options: Any) -> MemoryStore:
        settings: dict[str, Any] = {"path": tmp_path / "robot.db", "embed": bag_of_words, "encoder": WORDS, "clock": clock, **options}
        if settings["embed"] is None:
            del settings["embed"]
        opened.append(MemoryStore(settings.pop("path"), **settings))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., MemoryStore]) -> MemoryStore:
    return open_store()
