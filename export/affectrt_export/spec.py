"""The values that pass between the parts of the toolchain: a model as its family reads it, examples, variants, and what gates found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from affectrt import metrics

F32 = npt.NDArray[np.float32]
Feeds = Mapping[str, npt.NDArray[Any]]
"""Inputs of a network by name; the first axis is the batch."""
Run = Callable[[Feeds], Mapping[str, F32]]
"""A network that can be called: inputs by name to outputs by name."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, how much there is."""
Tell = Callable[[str], None]
"""Called with each step as it begins, in words."""


class ExportError(RuntimeError):
    """A model, a data set or a machine that cannot be used as it is: says what was expected and what came."""


@dataclass(frozen=True)
class Contract:
    """What a pack says of its network beside the files (docs/pack-format.md): as pack.json writes it."""

    task: str
    """One of `affectrt_export.families.TASKS`."""
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    decode: Mapping[str, Any]
    labels: Sequence[Mapping[str, Any]]
    """name, valence, arousal, dominance of each, in output order."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What the inputs name: the tokenizer."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return tuple(str(label["name"]) for label in self.labels)

    @property
    def multi_label(self) -> bool:
        """Several labels at a time (sigmoid), or one (softmax)."""
        return bool(self.decode["kind"] == "sigmoid")

    @property
    def output(self) -> str:
        """The tensor that is decoded: logits, of labels or of spans, or probabilities."""
        return str(next(o["tensor"] for o in self.outputs if o["kind"] in ("logits", "probabilities", "span_logits")))


@dataclass(frozen=True)
class Model:
    """A trained model as its family reads it: the network as fp32 ONNX, the framework's own answer to hold it against, its contract."""

    name: str
    """[a-z0-9][a-z0-9-]{0,63}"""
    family: str
    onnx: bytes
    """fp32, standard operators, every node named, batch axis free."""
    reference: Run | None
    """The source framework's answer on the same feeds; None where the source is ONNX itself."""
    contract: Contract
    convolutional: bool
    """Decides how int8 is made: static for convolutions, dynamic for matrix products."""
    license: str
    """SPDX id of the weights; "" where the source does not say, and then the user must."""
    source: Sequence[Mapping[str, Any]]
    """As pack.json writes it: what, origin, license, sha256."""
    makers: Mapping[str, Maker] = field(default_factory=dict)
    """Variants that this family makes in a way of its own, by name, in place of the general ones."""
    notes: Sequence[str] = ()
    """What was assumed or left out when the model was read, a sentence each: for the card and the report."""


@dataclass(frozen=True)
class Examples:
    """Preprocessed inputs, one example each, with their truth. Whoever makes them has checked the labels."""

    name: str
    """What data this is, as a report says it: "FER2013 PublicTest (3,589)"."""
    feeds: Sequence[Feeds]
    """One an example, batch axis 1."""
    truth: npt.NDArray[np.bool_]
    """(N, labels) bool; exactly one True a row where the model gives one label."""
    texts: Sequence[str] = ()
    """What the feeds were made of, one an example; empty where they are no texts."""
    groups: Sequence[str] = ()
    """The group of each example; empty where the data tells none apart."""

    def __len__(self) -> int:
        return len(self.feeds)


class Maker(Protocol):
    """Makes one variant of a network."""

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """`model` fp32 ONNX; nodes named in `keep` stay in fp32. The same arguments give the same bytes. ExportError if it cannot."""
        ...


@dataclass(frozen=True)
class VariantKind:
    """A variant that can be asked for."""

    name: str
    """"fp32", "fp16", "int8", "int8-trt", "int4", "master"."""
    precision: str
    """As pack.json writes it."""
    maker: Maker
    parent: str
    """The variant that it must be faster or smaller than: "fp32" for most."""
    requires: Sequence[str] = ()
    """ONNX Runtime providers; empty: any."""
    runs_here: bool = True
    """False: ONNX Runtime's CPU provider cannot run it or would be no measure of it, so latency is not gated here."""


@dataclass(frozen=True)
class Bounds:
    """What a variant must keep to. A bound of None is a gate that the user has switched off: the report says so."""

    parity_max: float | None = 1e-3
    """Largest absolute difference of an output to the source framework's, fp32."""
    parity_mean: float | None = 1e-4
    parity_cosine: float | None = 0.9999
    """Least cosine of an example's outputs."""
    accuracy_drop: float | None = 0.01
    """Accuracy (one label) or macro-F1 (several) under fp32, at most."""
    class_drop: float | None = 0.05
    """F1 of any one class under fp32, at most; a class with few examples is given its sampling error on top."""
    latency_ratio: float | None = 1.0
    """Median latency over the parent's, at most."""
    size_ratio: float | None = 1.0
    """File size over the parent's, at most."""


@dataclass(frozen=True)
class Finding:
    """What one gate found of one variant."""

    gate: str
    """"parity", "accuracy", "class", "latency", "size", "calibration"."""
    passed: bool
    value: float
    bound: float | None
    """None: switched off."""
    detail: str = ""
    """Which class, layer or example was worst, and by how much."""


@dataclass(frozen=True)
class Repair:
    """One attempt to save a variant: what was kept in higher precision, and what that gave."""

    kept: Sequence[str]
    """Names of layers."""
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Layer:
    """How much the outputs suffer when this layer alone is quantised."""

    name: str
    op: str
    error: float
    """Relative RMS error of the logits on the calibration examples."""


@dataclass(frozen=True)
class Reliability:
    """How far the probabilities mean what they say: bins of confidence against the share that was right (Guo et al., 2017)."""

    confidence: Sequence[float]
    """Mean confidence in each bin, NaN where it is empty."""
    accuracy: Sequence[float]
    """Share right in each bin, NaN where it is empty."""
    count: Sequence[int]
    ece: float
    """Expected calibration error. One label: of the top probability. Several: the mean of the labels' own."""
    label_ece: Sequence[float] = ()
    """Of each label on its own; empty where the model gives one label."""


@dataclass(frozen=True)
class Quality:
    """How right one variant is on labelled examples."""

    data: str
    scores: metrics.Scores
    reliability: Reliability
    coverage: float
    """Share of the examples that the pack's rule for "unknown" lets pass."""
    accuracy_where_known: float
    """Of those, the share answered right: the top label is the true one, or one of them."""

    @property
    def score(self) -> float:
        """What the accuracy gate compares: accuracy (one label) or macro-F1 (several)."""
        return self.scores.macro_f1 if self.scores.multi_label else self.scores.accuracy


@dataclass(frozen=True)
class Latency:
    """Milliseconds a call, batch 1, on the machine of the export."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    runs: int
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What became of one variant: its file if it may be published, and everything that was found on the way."""

    kind: VariantKind
    onnx: bytes | None
    """None: refused."""
    findings: Sequence[Finding]
    repairs: Sequence[Repair] = ()
    sensitivity: Sequence[Layer] = ()
    """Worst first; measured only when a gate failed."""
    quality: Quality | None = None
    latency: Latency | None = None
    size_bytes: int = 0
    """Of the file, published or refused."""
    slices: metrics.Slices | None = None
    """How right it is on each group, where the examples tell groups apart: for the card."""

    @property
    def published(self) -> bool:
        """Whether it passed, at once or after repair."""
        return self.onnx is not None
