"""A short turn of `soak.py`, and what it must leave behind: nothing."""

from __future__ import annotations

import gc
import threading

from affectrt.dialogue import Conversation, Reply
from affectrt.serve.generation import Generation
from serve_tools import until
from soak import soak


def alive(kind):
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_many_requests_leave_nothing_behind(serving, client):
    server = serving(limits={"kept": 4})
    gc.freeze()  # what is there already is not looked through again and again
    with client.with_options(base_url=server.url) as mine:
        threads, before = threading.active_count(), alive((Reply, Generation))
        soak(mine, 24)
        until(lambda: server.busy == (0, 0))
        until(lambda: alive((Reply, Generation)) == before)
        assert len(server._service.kept) <= 4
        assert not server._service._running
        until(lambda: not any(thread.name == "affectrt-reply" for thread in threading.enumerate()))
        assert threading.active_count() <= threads + 12, "more than the pool of one event loop"
        conversations = alive(Conversation)
        soak(mine, 12, seed=3)
        until(lambda: alive(Conversation) <= conversations + 1)
