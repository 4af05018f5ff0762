"""llama.cpp's threads wait asleep, unless the user has said otherwise: OpenMP reads the variable once, when it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
CODE = """
import json, os, sys

class Watch:
    seen = []
    def find_spec(self, name, path=None, target=None):
        if name == "llama_cpp":
            self.seen.append(os.environ.get("OMP_WAIT_POLICY"))

sys.meta_path.insert(0, Watch())
from affectrt.dialogue import native
native.load()
print(json.dumps([Watch.seen, os.environ.get("OMP_WAIT_POLICY")]))
"""


@pytest.mark.parametrize(
    ("set_by_user", "loaded_with", "after"),
    [({}, "passive", None), ({"OMP_WAIT_POLICY": "active"}, "active", "active"), ({"GOMP_SPINCOUNT": "1000"}, None, None)],
)
def test_threads_wait_asleep_unless_the_user_says_otherwise(set_by_user, loaded_with, after):
    env = {**{name: value for name, value in os.environ.items() if name not in NAMES}, **set_by_user}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[loaded_with], after]
