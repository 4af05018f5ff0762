"""The figures of docs/decisions/quantisation.md: size, load time, time against fp32, score of every variant of one model.

python -m affectrt_export.variants.figures SOURCE --data FILE --calibration FILE [--license ID] [--contract FILE]

SOURCE is what `affectrt export model` takes. Printed as a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from affectrt_export import calibrate, data, families, measure, runner
from affectrt_export.spec import F32, Examples, Feeds, Model
from affectrt_export.variants import METHODS, Options, derive, kinds

_CALIBRATION = 256


def rows(model: Model, given: Examples, calibration: Examples, pairs: int) -> Iterator[tuple[str, bytes, str]]:
    """Label, file and score of each variant; the first is fp32."""
    some = [calibration.feeds[int(i)] for i in np.linspace(0, len(calibration) - 1, min(_CALIBRATION, len(calibration))).astype(int)]
    whole = kinds(model.convolutional)[0].maker(model.onnx, some, frozenset())
    for label, file in _files(model, some):
        logits = measure.run(file, given.feeds, model.contract.output)
        parts = [f"{label:24} | {len(file) / 1e6:8.3f} | {_load_ms(file):7.1f}"]
        parts.append(f"{_ratio(file, whole, given.feeds, pairs):5.2f}")
        yield label, file, " | ".join([*parts, f"{score(model, logits, given):.4f}"])


def score(model: Model, logits: F32, given: Examples) -> float:
    """Accuracy, or macro-F1 with calibration and thresholds cross-fitted."""
    if not model.contract.multi_label:
        return float(given.truth[np.arange(len(given)), logits.argmax(1)].mean())
    _, said = calibrate.cross_fitted(logits, given.truth)
    return measure.scores(model.contract, said, given.truth).macro_f1


def _files(model: Model, some: Sequence[Feeds]) -> Iterator[tuple[str, bytes]]:
    master = b""
    for kind in kinds(model.convolutional):
        static = kind.name == "int8-trt" or (kind.name == "int8" and model.convolutional)
        for method in METHODS if static else [""]:
            made = kinds(model.convolutional, Options(calibration=method) if method else Options())
            maker = next(one.maker for one in made if one.name == kind.name)
            file = maker(model.onnx, some, frozenset())
            master = file if kind.name == "master" else master
            yield f"{kind.name} {method}".strip(), file
    if "int8" in model.makers:
        yield "int8 of the family", model.makers["int8"](model.onnx, some, frozenset())
    wide = Options(weight_bits=8)
    yield "int8, 8-bit weights", next(k for k in kinds(model.convolutional, wide) if k.name == "int8").maker(model.onnx, some, frozenset())
    if not model.convolutional:
        for block, tables in ((32, "int4"), (64, "int8"), (128, "int8")):
            chosen = Options(int4_block=block, int4_embeddings=tables)
            made = kinds(False, chosen)
            yield f"int4 {block}, tables {tables}", next(k for k in made if k.name == "int4").maker(model.onnx, some, frozenset())
    yield (
        "master in 4 bits",
        next(k for k in kinds(False, Options(master_bits=4)) if k.name == "master").maker(model.onnx, some, frozenset()),
    )
    for to in ("fp16", "int8-trt"):
        yield f"{to} from the master", derive(master, to)


def _ratio(file: bytes, whole: bytes, feeds: Sequence[Feeds], pairs: int) -> float:
    """Median over pairs of calls, on one thread and by the time that the thread itself ran: a busy machine does not show in it."""
    one, other = runner.Onnx(file), runner.Onnx(whole)
    inputs = measure.mixed(feeds)
    found = []
    for i in range(pairs + len(inputs)):
        feed, taken = inputs[i % len(inputs)], []
        for network in (one, other):
            began = time.thread_time()
            network(feed)
            taken.append(time.thread_time() - began)
        if i >= len(inputs):  # before, each shape was new
            found.append(taken[0] / taken[1])
    return float(np.median(found))


def _load_ms(file: bytes) -> float:
    taken = []
    for _ in range(5):
        began = time.process_time()
        runner.Onnx(file)
        taken.append((time.process_time() - began) * 1000)
    return min(taken)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--license", default="")
    parser.add_argument("--contract", type=Path, default=None)
    parser.add_argument("--max-tokens", type=int, default=None)
    parser.add_argument("--examples", type=int, default=0, help="only so many of the data, spread over all of it")
    parser.add_argument("--pairs", type=int, default=100)
    read = parser.parse_args(argv)
    options = families.Options(license=read.license, contract=read.contract, max_tokens=read.max_tokens)
    model = families.read(read.source, options=options)
    given = data.read(read.data, model.contract)
    if read.examples:
        given = data.take(given, np.linspace(0, len(given) - 1, read.examples).astype(int))
    calibration = data.read(read.calibration, model.contract)
    print(f"variant | MB | load, CPU ms | CPU time to fp32 | score on {given.name}\n--- | ---: | ---: | ---: | ---:")
    for _, _, text in rows(model, given, calibration, read.pairs):
        print(text, flush=True)


if __name__ == "__main__":
    main()
