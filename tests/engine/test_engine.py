"""`Engine`: shapes, dtypes, errors, threads, and what happens without ONNX Runtime."""

import re
import subprocess
import sys

import affectrt as art
import numpy as np
import pytest
from affectrt import _core
from affectrt.engine import EngineSettings, find_ort_library


@pytest.fixture(scope="module")
def model():
    return art.open_pack("xception-fer7").variant().path


@pytest.fixture(scope="module")
def engine(model):
    return art.Engine(model)


def feeds(engine, batch=2):
    (spec,) = engine.inputs
    rng = np.random.default_rng(0)
    return {spec.name: rng.normal(0, 0.5, (batch, *spec.shape[1:])).astype(np.float32)}


def test_specs(engine):
    (spec,) = engine.inputs
    assert (spec.dtype, spec.shape) == ("float32", (-1, 1, 64, 64))
    assert engine.outputs[0].shape == (-1, 7)
    assert engine.provider == "CPUExecutionProvider" and engine.fallbacks == ()


def test_equals_onnxruntime(engine, model):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for batch in (1, 2, 7):
        given = feeds(engine, batch)
        (want,) = session.run(None, given)
        (got,) = engine.run(given).values()
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_results_own_their_memory(engine):
    first = next(iter(engine.run(feeds(engine)).values()))
    kept = first.copy()
    for _ in range(20):
        engine.run(feeds(engine, 3))
    np.testing.assert_array_equal(first, kept)


def test_inputs_are_not_copied_or_changed(engine):
    given = feeds(engine)
    (array,) = given.values()
    array.flags.writeable = False
    before, references = array.copy(), sys.getrefcount(array)
    engine.run(given)
    np.testing.assert_array_equal(array, before)
    assert sys.getrefcount(array) == references


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda f: {}, ValueError, "expected an input 'input', got"),
        (lambda f: {**f, "other": np.zeros(3, np.float32)}, ValueError, "expected 1 inputs, got"),
        (lambda f: {k: v.astype(np.float64) for k, v in f.items()}, TypeError, "expected dtype float32, got float64"),
        (lambda f: {k: v[:, :, :63] for k, v in f.items()}, ValueError, "contiguous"),
        (lambda f: {k: v[:, :, :63].copy() for k, v in f.items()}, ValueError, r"expected shape \(\*, 1, 64, 64\), got \(2, 1, 63, 64\)"),
        (lambda f: {k: v[0] for k, v in f.items()}, ValueError, r"got \(1, 64, 64\)"),
        (lambda f: {k: v.tolist() for k, v in f.items()}, TypeError, "expected a NumPy array or an object with __dlpack__, got list"),
    ],
)
def test_bad_feeds(engine, change, error, text):
    name = engine.inputs[0].name
    with pytest.raises(error, match=text.replace("'input'", f"'{name}'")):
        engine.run(change(feeds(engine)))
    engine.run(feeds(engine))  # and it still works


def test_bad_files(tmp_path):
    with pytest.raises(art.EngineError, match="found nothing"):
        art.Engine(tmp_path / "none.onnx")
    with pytest.raises(art.EngineError, match="found a folder"):
        art.Engine(tmp_path)
    for content in (b"", b"not a model", bytes(range(256)) * 40):
        garbage = tmp_path / "garbage.onnx"
        garbage.write_bytes(content)
        with pytest.raises(art.EngineError, match=r"garbage\.onnx"):
            art.Engine(garbage)


def test_a_file_of_bytes_that_are_no_text(tmp_path):
    garbage = tmp_path / "\udcff.onnx"
    garbage.write_bytes(b"\xff\xfe\xfd" * 99)
    with pytest.raises(art.EngineError, match=r"\\xff"):
        art.Engine(garbage)


def test_a_truncated_model(tmp_path, model):
    whole = model.read_bytes()
    for part in (10, len(whole) // 2, len(whole) - 1):
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(whole[:part])
        with pytest.raises(art.EngineError):
            art.Engine(cut)


def test_eight_threads_share_one_engine(engine, each_in_a_thread):
    (name,) = feeds(engine)
    rng = np.random.default_rng(1)
    given = [rng.normal(0, 0.5, (1 + i % 3, 1, 64, 64)).astype(np.float32) for i in range(8)]
    each_in_a_thread(lambda value: next(iter(engine.run({name: value}).values())), given, repeats=50)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_own_threads_give_the_same(model, threads):
    engine = art.Engine(model, EngineSettings(threads=threads))
    (want,) = art.Engine(model).run(feeds(engine)).values()
    np.testing.assert_allclose(next(iter(engine.run(feeds(engine)).values())), want, atol=1e-6)


def test_settings_name_every_problem_at_once():
    with pytest.raises(ValueError, match=r"device: .*; providers: .*; threads: "):
        EngineSettings(device="gpu", providers="CPUExecutionProvider", threads=-2)


def test_cuda_without_a_driver(model):
    """In a process of its own: another test may have given this one a driver."""
    code = (
        "import sys, affectrt as art\nfrom affectrt.engine import EngineSettings\n"
        "assert EngineSettings().core_options()['providers'] == []\n"
        "for device in ('cuda:0', 'cuda:3'):\n"
        "    for open in (lambda: art.Engine(sys.argv[1], EngineSettings(device=device)), lambda: art.Face(color='rgb8', device=device)):\n"
        "        try:\n            open()\n        except art.DeviceError as error:\n            print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stdout
    for line, device in zip(lines, ("cuda:0", "cuda:0", "cuda:3", "cuda:3"), strict=True):
        assert re.match(rf'device="{device}": no NVIDIA driver: .*libcuda.so.1: cannot open .*; use device="cpu"', line), line


def test_cuda_without_its_provider(model, monkeypatch):
    monkeypatch.setattr(_core, "cuda_devices", lambda: ["one", "two"])
    monkeypatch.setattr(_core, "ort_info", lambda: {"version": "1.32.0", "library": "lib", "providers": ["CPUExecutionProvider"]})
    with pytest.raises(art.DeviceError, match=r'has no CUDA provider .*install "affectrt\[gpu\]" in place of "affectrt\[cpu\]"'):
        art.Engine(model, EngineSettings(device="cuda:1"))
    with pytest.raises(art.DeviceError, match=r'device="cuda:2": this machine has cuda:0 to cuda:1'):
        art.Engine(model, EngineSettings(device="cuda:2"))


def test_the_pool_is_set_before_the_first_engine(engine):
    with pytest.raises(art.EngineError, match="before the first engine"):
        art.set_thread_pool(3, spinning=True)
    with pytest.raises(ValueError, match="threads: expected 0"):
        art.set_thread_pool(-1)


def python(code, **environment):
    import os

    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False)


OPEN = """
import affectrt as art
try:
    engine = art.Engine(art.open_pack("xception-fer7").variant().path)
    print("opened", engine.provider)
except art.EngineError as error:
    print("refused", error)
"""


def test_without_onnxruntime_the_error_names_the_command():
    hidden = "import sys; sys.modules['onnxruntime'] = None\n"
    result = python(
        "import importlib.util as u; real = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'onnxruntime' else real(n, *a)\n"
        + hidden
        + OPEN
    )
    assert result.returncode == 0, result.stderr
    assert (
        "refused ONNX Runtime not found" in result.stdout
        and 'pip install "affectrt[cpu]"' in result.stdout
        and "AFFECTRT_ORT_LIBRARY" in result.stdout
    )


@pytest.mark.parametrize(
    ("library", "text"),
    [
        ("/nowhere/libonnxruntime.so", "cannot open shared object file"),
        ("libm.so.6", "not ONNX Runtime (no symbol OrtGetApiBase)"),
        (__file__, "invalid ELF header"),
    ],
)
def test_a_wrong_library_is_refused(library, text):
    result = python(OPEN, AFFECTRT_ORT_LIBRARY=library)
    assert result.returncode == 0, result.stderr
    assert "refused" in result.stdout and text in result.stdout and library in result.stdout


def test_the_named_library_is_used():
    library = find_ort_library()
    result = python("from affectrt import _core\n" + OPEN + "print(_core.ort_info()['library'])", AFFECTRT_ORT_LIBRARY=str(library))
    assert "opened" in result.stdout and str(library) in result.stdout


def test_beside_onnxruntime_of_python():
    """The package's own module in the same process, imported first, neither disturbs nor is disturbed."""
    result = python(
        "import onnxruntime\n" + OPEN + "\nonnxruntime.InferenceSession(str(art.open_pack('xception-fer7').variant().path))\nprint('both')"
    )
    assert "opened" in result.stdout and "both" in result.stdout, result.stderr
