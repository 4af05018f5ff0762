"""A 50 Hz control loop in Python beside continuous face + text inference in two threads of the same process: how late does it wake?

Three cases, taking turns in fresh processes: nobody beside it; affectrt with its defaults; the same networks in ONNX Runtime sessions with
their default settings (a pool a session, threads that spin).

    pip install onnxruntime scikit-image
    python benchmarks/control_loop.py [SECONDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time

from measure import report, unset_blas_overrides

PERIOD_S = 0.02


def lateness_ms(seconds: float) -> list[float]:
    late = []
    due = time.perf_counter() + PERIOD_S
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        late.append((time.perf_counter() - due) * 1e3)
        due += PERIOD_S
    return late


def workers(case: str):
    """What runs beside the loop: functions that each do one inference."""
    import affectrt as art
    import numpy as np
    from skimage import data

    frame = np.ascontiguousarray(data.astronaut()[:480])
    face, text = art.Face(color="rgb8"), art.TextEmotion()
    sentence = "I finally passed the exam!"
    if case == "affectrt":
        return [lambda: face(frame), lambda: text(sentence)]
    import onnxruntime as ort

    sessions = []
    for pack in (*face.packs.values(), text.pack):
        session = ort.InferenceSession(str(pack.variant().path), providers=["CPUExecutionProvider"])
        feeds = {}
        for spec in session.get_inputs():
            shape = [extent if isinstance(extent, int) else 1 for extent in spec.shape]
            if spec.type == "tensor(int64)":
                feeds[spec.name] = np.full((1, 10), 100 if "mask" not in spec.name else 1, np.int64)
            else:
                feeds[spec.name] = np.zeros(shape, np.float32)
        sessions.append((session, feeds))
    *faces, words = sessions
    return [lambda: [session.run(None, feeds) for session, feeds in faces], lambda: words[0].run(None, words[1])]


def one(case: str, seconds: float) -> None:
    done, counts, threads = threading.Event(), [], []

    def repeat(function, slot):
        while not done.is_set():
            function()
            counts[slot] += 1

    for function in [] if case == "alone" else workers(case):
        function()
        counts.append(0)
        threads.append(threading.Thread(target=repeat, args=(function, len(counts) - 1)))
    for thread in threads:
        thread.start()
    late = sorted(lateness_ms(seconds))
    done.set()
    for thread in threads:
        thread.join()
    print(late[len(late) // 2], late[int(0.99 * (len(late) - 1))], sum(counts) / seconds)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    unset_blas_overrides()
    cases: dict[str, list[tuple[float, ...]]] = {"alone": [], "affectrt": [], "ort_defaults": []}
    for _ in range(5):
        for case, results in cases.items():
            code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import control_loop; control_loop.one({case!r}, {seconds})"
            output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            results.append(tuple(float(word) for word in output.split()))
    figures = {}
    for case, results in cases.items():
        p50, p99, rate = zip(*results, strict=True)
        figures |= {
            f"{case}_p50_ms": statistics.median(p50),
            f"{case}_p99_ms": statistics.median(p99),
            f"{case}_inferences_per_s": statistics.median(rate),
        }
    figures["p99_over_ort_defaults"] = statistics.median(a[1] / b[1] for a, b in zip(cases["affectrt"], cases["ort_defaults"], strict=True))
    return report("control_loop", figures, {"p99_over_ort_defaults": ("<=", 0.5)})


if __name__ == "__main__":
    sys.exit(main())
