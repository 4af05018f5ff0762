"""The default language model, pulled once into the cache: the tests talk to a real one."""

from __future__ import annotations

import pytest
from affectrt.dialogue import Dialogue
from affectrt.packs import DEFAULTS, open_pack, pull


@pytest.fixture(scope="session")
def dialogue_pack():
    pull(DEFAULTS["dialogue"])
    return open_pack(DEFAULTS["dialogue"])


@pytest.fixture(scope="session")
def dialogue(dialogue_pack):
    """One thread: the tests' machine has other things to do."""
    with Dialogue(dialogue_pack, threads=1, device="cpu", seed=1) as loaded:
        yield loaded


@pytest.fixture
def chat(dialogue):
    """A fresh conversation; short answers."""
    from dataclasses import replace

    return dialogue.conversation("You are a kind friend.", sampling=replace(dialogue.sampling, max_tokens=24))
