"""The flag that C code polls."""

from __future__ import annotations

import ctypes
import threading

from affectrt._core import CancelFlag


def test_the_c_function_reads_the_flag_of_the_address():
    first, second = CancelFlag(), CancelFlag()
    poll = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(first.callback_address)
    assert (poll(first.data_address), poll(second.data_address)) == (False, False)
    first.set()
    assert first.is_set() and not second.is_set()
    assert (poll(first.data_address), poll(second.data_address)) == (True, False)
    first.clear()
    assert not poll(first.data_address)
    assert first.callback_address == second.callback_address
    assert first.data_address != second.data_address


def test_a_flag_set_in_a_thread_is_seen_in_another():
    flag = CancelFlag()
    thread = threading.Thread(target=flag.set)
    thread.start()
    thread.join()
    assert flag.is_set()
