"""Engines of TensorRT: built by a process of their own while something else serves, found again, shared, and given up for a reason that is
told. On the fake runtime and the fake driver, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_ort.processes import PATIENCE_S

TENSORRT, RTX, CUDA, CPU = "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def text_pack(tmp_path: Path) -> Path:
    """The text pack that is carried, as if its network, which is for the CPU, might run anywhere: so it may on the fake runtime."""
    from affectrt import open_pack

    folder = Path(shutil.copytree(open_pack("minilm-goemotions").path, tmp_path / "text"))
    manifest = json.loads((folder / "pack.json").read_text())
    for variant in manifest["variants"]:
        variant["requires"] = []
    (folder / "pack.json").write_text(json.dumps(manifest))
    return folder


def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_options_of_each_network(machine, text_pack):
    (shown,) = machine.run(f"""
face = art.Face(color="rgb8", device="cuda:0", engine="tensorrt", strict=True, landmarks=True, blendshapes=True)
text = art.TextEmotion({str(text_pack)!r}, device="cuda:0", engine="tensorrt", strict=True)
assert text("I am so happy!").label == "joy" and len(text(["good", "bad"] * 6)) == 12
appended = [dict(c.args["options"]) for c in ort.calls("SessionOptionsAppendExecutionProvider_TensorRT_V2")]
show(providers=[face.provider, text.provider], fallbacks=[*face.fallbacks, *text.fallbacks], appended=appended,
     sessions=[c.args["providers"] for c in ort.calls("CreateSession")], cuda=len(ort.calls("CreateCUDAProviderOptions")), me=os.getpid())
""")
    assert shown["providers"] == [TENSORRT, TENSORRT] and shown["fallbacks"] == []
    built = {Path(build["model"]).parent.name: build["options"] for build in machine.builds()}
    shapes = ["trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"]
    assert {name: [options.get(key) for key in shapes] for name, options in built.items()} == {
        "blazeface-full-range": [None] * 3,
        "fernet-fer7": ["image:1x1x48x48", "image:1x1x48x48", "image:16x1x48x48"],
        "face-mesh-478": ["image:1x3x256x256", "image:1x3x256x256", "image:16x3x256x256"],
        "blendshapes-52": [None] * 3,
        "text": [f"input_ids:{shape},attention_mask:{shape}" for shape in ("1x1", "1x32", "8x128")],
    }
    for build in machine.builds():  # by a process of its own, in a folder that did not bear its name yet
        assert build["pid"] != shown["me"]
        for key in ("trt_engine_cache", "trt_timing_cache"):
            assert build["options"][f"{key}_enable"] == "1"
            assert Path(build["options"][f"{key}_path"]).name.endswith(f".partial-{build['pid']}")
        assert not any("fp16" in key or "int8" in key for key in build["options"])
    assert sorted(machine.folders()) == sorted(path.name for path in machine.whole()) and len(machine.whole()) == 2
    paths = {options["trt_engine_cache_path"] for options in shown["appended"]}
    assert paths == {str(path) for path in machine.whole()}
    # Strict: no other provider behind.
    assert all(providers == [TENSORRT] for providers in shown["sessions"]) and shown["cuda"] == 0


def test_tensorrt_rtx_where_only_that_is_there(machine):
    shown = machine.run(f"""
ort.set_providers("{RTX}")
for _ in range(2):
    face = expression(strict=True)
    show(provider=face.provider, fallbacks=face.fallbacks, label=face(crop).label)
    del face
""")
    assert [one["provider"] for one in shown] == [RTX, RTX] and shown[0]["fallbacks"] == []
    (build,) = machine.builds()
    assert build["provider"] == RTX
    assert build["options"]["nv_profile_max_shapes"] == "image:16x1x48x48"
    assert build["options"]["nv_profile_min_shapes"] == build["options"]["nv_profile_opt_shapes"] == "image:1x1x48x48"
    (folder,) = machine.whole()
    assert not any(key.startswith("trt_") for key in build["options"])
    # This provider writes when the session ends; the folder got its name after that.
    assert any(name.endswith(".cache") for name in json.loads((folder / "engines.json").read_text())["files"])


def test_serves_while_it_builds_then_goes_over_then_finds_it(machine):
    machine.held.touch()
    building, after, again = machine.run("""
seen = []
began = time.monotonic()
face = expression(on_progress=seen.append)
opened_s = time.monotonic() - began
until(lambda: face.preparing.network)
state, waited, first = face.preparing, face.wait_ready(0.05), face(crop)
show(opened_s=opened_s, waited=waited, provider=face.provider, fallbacks=face.fallbacks, network=state.network, done=state.done,
     total=state.total, engine=face.engine)

wrong, providers = [], set()
def work():
    while not providers >= {"CUDAExecutionProvider", "TensorrtExecutionProvider"}:
        providers.add(face.provider)
        if not np.array_equal(face(crop).probs, first.probs): wrong.append(face.provider)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
os.remove(os.environ["AFFECTRT_FAKE_ORT_HOLD"])
ready = face.wait_ready(60)
for thread in threads: thread.join(60)
show(ready=ready, provider=face.provider, fallbacks=face.fallbacks, preparing=face.preparing, wrong=wrong,
     seen=[(s.network, s.done, s.total) for s in seen], rising=all(a.seconds <= b.seconds for a, b in zip(seen, seen[1:])))

told = []
second = expression(on_progress=told.append)
show(provider=second.provider, preparing=second.preparing, ready=second.wait_ready(0), told=len(told), fallbacks=second.fallbacks,
     same=bool(np.array_equal(second(crop).probs, first.probs)), violations=ort.violations())
""")
    assert building.pop("opened_s") < 20  # a build would have lasted for ever
    assert building == {
        "waited": False, "provider": CUDA, "fallbacks": [], "network": "expression", "done": 0, "total": 1, "engine": "tensorrt",
    }  # fmt: skip
    assert after == {
        "ready": True, "provider": TENSORRT, "fallbacks": [], "preparing": None, "wrong": [],
        "seen": [["", 0, 1], ["expression", 0, 1]], "rising": True,
    }  # fmt: skip
    assert again == {
        "provider": TENSORRT, "preparing": None, "ready": True, "told": 0, "fallbacks": [], "same": True, "violations": [],
    }  # fmt: skip
    assert len(machine.builds()) == 1


def test_tracks_go_on_where_the_networks_change(machine):
    """From the CPU, since this runtime has no CUDA provider, to kernels and networks on the GPU, in the PTX interpreter."""
    machine.held.touch()
    shown = machine.run(f"""
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "gpu_path")!r})
import on_fakes
cuda, ort, interpreter = on_fakes.start()
ort.set_providers("{TENSORRT}")
pack = art.open_pack("blazeface-full-range")
frame = np.load(pack.file(pack.manifest["golden"][0]["input"]["image"]))
nobody = np.zeros_like(frame)
face = art.Face(color="rgb8", device="cuda:0", engine="tensorrt", expression=False)
def look(picture, ms):
    found = face(picture, ms * 1_000_000)
    show(ids=[f.track_id for f in found], provider=face.provider, fallbacks=face.fallbacks)
look(frame, 0)
look(nobody, 2000); look(nobody, 2040); look(nobody, 2080)
look(frame, 2120)
os.remove(os.environ["AFFECTRT_FAKE_ORT_HOLD"])
assert face.wait_ready(60)
look(frame, 2160)
face.reset()
look(frame, 2200)
show(violations=cuda.violations() + ort.violations(), launched=len(interpreter.launched))
""")
    looks, end = shown[:-1], shown[-1]
    assert [look["ids"] for look in looks] == [[1], [], [], [], [2], [2], [3]]
    assert [look["provider"] for look in looks] == [CPU] * 5 + [TENSORRT] * 2
    assert f"no CUDA provider (it has: {TENSORRT}" in looks[0]["fallbacks"][0]
    assert "the CPU serves until the engines are built" in looks[0]["fallbacks"][0]
    assert looks[-1]["fallbacks"] == []
    assert end["violations"] == [] and end["launched"] > 0


def test_pipelines_that_share_tracks_never_give_an_id_twice():
    """A call of the old pipeline may still be under way when the new one begins."""
    import numpy as np
    from affectrt import Face, open_pack

    pack = open_pack("blazeface-full-range")
    frame = np.load(pack.file(pack.manifest["golden"][0]["input"]["image"]))
    old, new = (Face(color="rgb8", device="cpu")._core for _ in range(2))
    (before,), _ = old(frame, "rgb8", 0)
    new.adopt(old)
    blank = np.zeros_like(frame)
    seen = []
    for step, core in enumerate([new, old, new, old], start=1):
        (one,), _ = core(frame, "rgb8", step * 40_000_000)
        assert one[3] == before[3] == 1
        assert not np.array_equal(one[5], blank) and np.allclose(one[5], before[5], atol=1e-6)  # smoothed over frames that are the same
    for step, core in enumerate([new, old, new, old], start=1):
        core.reset()
        seen.append(core(frame, "rgb8", step * 1_000_000_000)[0][0][3])
    assert seen == [2, 3, 4, 5]


def test_strict_builds_before_it_returns_or_raises(machine):
    failed, built = machine.run("""
os.environ["AFFECTRT_FAKE_ORT_BUILD_FAULT"] = "no implementation for node Conv_7"
try:
    expression(strict=True)
except art.EngineError as error:
    show(error=str(error))
del os.environ["AFFECTRT_FAKE_ORT_BUILD_FAULT"]
seen = []
face = expression(strict=True, on_progress=seen.append)
show(provider=face.provider, preparing=face.preparing, seen=[s.network for s in seen])
""")
    assert "no implementation for node Conv_7" in failed["error"]
    assert built == {"provider": TENSORRT, "preparing": None, "seen": ["", "expression"]}


@pytest.mark.parametrize(
    ("fault", "reason"), [("no implementation for node Conv_7", "no implementation for node Conv_7"), ("abort", "was ended by SIGABRT")]
)
def test_a_failed_build_is_told_and_the_object_serves_on(machine, fault, reason):
    (shown,) = machine.run(
        """
def raises(state): raise RuntimeError("a callback of the caller's")
import logging; logging.disable()
face = expression(on_progress=raises)
ready = face.wait_ready(60)
show(ready=ready, provider=face.provider, fallbacks=face.fallbacks, preparing=face.preparing, labels=len(face(crop).labels))
""",
        AFFECTRT_FAKE_ORT_BUILD_FAULT=fault,
    )
    (said,) = shown.pop("fallbacks")
    assert said.startswith('engine="tensorrt": ') and reason in said
    assert shown == {"ready": True, "provider": CUDA, "preparing": None, "labels": 7}
    assert machine.folders() == [] or fault == "abort"
    # The next one is not held up by what is left.
    assert machine.run("show(provider=expression(strict=True).provider)") == [{"provider": TENSORRT}]
    assert machine.folders() == [path.name for path in machine.whole()]


WAITS = """
face = expression()
show(provider=face.provider)
ready = face.wait_ready(60)
show(ready=ready, provider=face.provider, fallbacks=face.fallbacks)
"""


def test_of_two_processes_one_builds_for_both(machine):
    machine.held.touch()
    both = [machine.start(WAITS) for _ in range(2)]
    for process in both:
        assert json.loads(process.stdout.readline())["provider"] == CUDA
    until(machine.builds)
    time.sleep(0.5)  # the other's builder stands before the lock, or comes to it
    machine.held.unlink()
    for process in both:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert not err and json.loads(out) == {"ready": True, "provider": TENSORRT, "fallbacks": []}
    assert len(machine.builds()) == 1


def test_a_builder_that_dies_is_followed_by_the_one_that_waits(machine):
    machine.held.touch()
    both = [machine.start(WAITS) for _ in range(2)]
    for process in both:
        process.stdout.readline()
    until(machine.builds)
    os.kill(machine.builds()[0]["pid"], signal.SIGKILL)
    until(lambda: len(machine.builds()) == 2)
    machine.held.unlink()
    ends = [json.loads(process.communicate(timeout=PATIENCE_S)[0]) for process in both]
    first, second = sorted(ends, key=lambda end: end["provider"])
    assert first["provider"] == CUDA and first["fallbacks"] == ['engine="tensorrt": the process that builds them was ended by SIGKILL']
    assert second == {"ready": True, "provider": TENSORRT, "fallbacks": []}
    assert machine.folders() == [machine.whole()[0].name]


def test_the_program_may_end_or_be_killed_while_it_builds(machine):
    machine.held.touch()
    ending = machine.start("face = expression()\nuntil(lambda: os.path.exists(os.environ['AFFECTRT_FAKE_ORT_BUILDS']))\nsys.exit(7)")
    out, err = ending.communicate(timeout=20)
    assert (ending.returncode, out, err) == (7, "", "")
    killed = machine.start("face = expression()\nshow(ok=1)\ntime.sleep(60)")
    assert killed.stdout.readline()
    until(lambda: len(machine.builds()) == 2)
    killed.kill()
    killed.communicate()
    for build in machine.builds():
        until(lambda build=build: not alive(build["pid"]), 10)
    assert machine.whole() == []


def test_without_tensorrt_or_a_gpu(machine):
    shown = machine.run(f"""
ort.set_providers("{CUDA}")
face = expression()
show(provider=face.provider, fallbacks=face.fallbacks, preparing=face.preparing, ready=face.wait_ready())
try:
    expression(strict=True)
except art.DeviceError as error:
    show(error=str(error))
""")
    reason = f"has neither {TENSORRT} nor {RTX} (it has: {CUDA}, "
    assert shown[0].pop("fallbacks")[0].count(reason) == 1 and reason in shown[1]["error"]
    assert shown[0] == {"provider": CUDA, "preparing": None, "ready": True}
    (shown,) = machine.run(
        'text = art.TextEmotion(engine="tensorrt")\nshow(provider=text.provider, fallbacks=text.fallbacks)',
        AFFECTRT_CUDA_LIBRARY=str(machine.folder / "no-driver.so"),
    )
    assert shown["provider"] == CPU and 'engine="tensorrt": ' in shown["fallbacks"][0] and "no-driver.so" in shown["fallbacks"][0]
