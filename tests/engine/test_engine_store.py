"""The cache of engines: what of it is damaged, half, refused or in the way, and how it is listed and cleared. On the fake runtime and the
fake driver, each in a process of its own.
"""

from __future__ import annotations

import json

TENSORRT, RTX, CUDA, CPU = "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


def test_a_cache_that_cannot_be_written(machine):
    machine.cache.write_text("a file where a folder should be")
    shown = machine.run("""
face = expression()
ready = face.wait_ready(60)
show(ready=ready, provider=face.provider, fallbacks=face.fallbacks)
try:
    expression(strict=True)
except art.EngineError as error:
    show(error=str(error))
""")
    (said,) = shown[0].pop("fallbacks")
    assert shown[0] == {"ready": True, "provider": CUDA}
    for text in (said, shown[1]["error"]):
        assert f"engines of TensorRT: cannot write under {machine.cache}" in text and "set AFFECTRT_CACHE_DIR" in text


def test_what_is_damaged_or_half_is_built_anew(machine):
    machine.run("expression(strict=True)")
    (folder,) = machine.whole()
    (engine,) = folder.glob("*.engine")
    engine.write_text("cut off")
    quietly = "import logging; logging.disable()\n"  # it is told, below
    assert machine.run(quietly + "show(provider=expression(strict=True).provider)") == [{"provider": TENSORRT}]
    assert len(machine.builds()) == 2
    (folder / "engines.json").unlink()
    (folder.parent / f"{folder.name}.partial-1").mkdir()
    assert machine.run("show(provider=expression(strict=True).provider)") == [{"provider": TENSORRT}]
    assert len(machine.builds()) == 3 and machine.folders() == [folder.name]


def test_a_runtime_cache_that_does_not_open_is_built_anew(machine):
    """TensorRT-RTX goes on writing its cache, so no hash says that it is as it should be."""
    prepare = f'ort.set_providers("{RTX}")\n'
    machine.run(prepare + "expression(strict=True)")
    (folder,) = machine.whole()
    (cache,) = folder.glob("*.cache")
    for strict in (True, False):
        cache.write_text("cut off")
        if not strict:
            machine.held.touch()
        code = (
            prepare
            + f"""
import io, logging
said = io.StringIO()
logging.getLogger("affectrt").addHandler(logging.StreamHandler(said))
face = expression(strict={strict})
meanwhile = face.fallbacks
if not {strict}: os.remove(os.environ["AFFECTRT_FAKE_ORT_HOLD"])
face.wait_ready(60)
show(provider=face.provider, meanwhile=meanwhile, fallbacks=face.fallbacks, said=said.getvalue())
"""
        )
        (shown,) = machine.run(code)
        assert shown["provider"] == RTX and shown["fallbacks"] == []
        reason = f"{cache.name} of the cache is given up, and what it held is built anew, since it did not open: "
        assert reason in shown["said"] and "could not deserialize runtime cache" in shown["said"]
        assert any(reason in one for one in shown["meanwhile"]) is not strict
        assert cache.read_text() != "cut off"
    assert len(machine.builds()) == 3


def test_engines_that_do_not_open_where_there_is_no_cuda(machine):
    """Whole, as they were built, and refused all the same: the CPU serves, unless strict."""
    machine.run("expression(strict=True)")
    shown = machine.run(f"""
ort.set_providers("{TENSORRT}")
ort.refuse("{TENSORRT}", "out of memory")
for device in ("cuda:0", "auto"):
    face = art.FaceExpression(color="mono8", device=device, engine="tensorrt")
    show(provider=face.provider, fallbacks=face.fallbacks, labels=len(face(crop).labels), preparing=face.preparing)
try:
    expression(strict=True)
except art.EngineError as error:
    show(error=str(error))
""")
    for one in shown[:2]:
        assert (one["provider"], one["labels"], one["preparing"]) == (CPU, 7, None)
        assert any("out of memory" in reason for reason in one["fallbacks"])
    assert any("no CUDA provider" in reason and reason.endswith("; the CPU serves") for reason in shown[0]["fallbacks"])
    assert "out of memory" in shown[2]["error"]
    assert len(machine.builds()) == 1


def test_clear_leaves_builds_under_way(machine):
    machine.run("expression(strict=True)")
    machine.held.touch()
    shown = machine.run("""
other = expression(pack="xception-fer7")
until(lambda: other.preparing.network)
listed = [(e.whole, e.networks, e.provider, e.size_bytes > 0) for e in engines.stored()]
removed, left = engines.clear()
show(listed=sorted(listed), removed=[e.networks for e in removed], left=[e.whole for e in left])
os.remove(os.environ["AFFECTRT_FAKE_ORT_HOLD"])
other.wait_ready(60)
show(provider=other.provider)
""")
    assert shown[0]["listed"][1] == [True, ["expression: fernet-fer7"], TENSORRT, True] and shown[0]["listed"][0][0] is False
    assert shown[0]["removed"] == [["expression: fernet-fer7"]] and shown[0]["left"] == [False]
    assert shown[1] == {"provider": TENSORRT}


def test_the_command_line_lists_and_clears(machine, monkeypatch, capsys):
    from affectrt.cli.app import build as application

    machine.run("expression(strict=True)")
    (folder,) = machine.whole()
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(machine.cache))
    for command, rows in [("list", 1), ("clear", 1), ("list", 0)]:
        application()(["engines", command, "-o", "json"], standalone_mode=False)
        listed = json.loads(capsys.readouterr().out)
        assert len(listed) == rows
        assert all(row["key"] == folder.name and row["state"] == "whole" and row["size_mb"] > 0 for row in listed)
