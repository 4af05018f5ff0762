"""Saves a variant that predicts too badly: which kind of matrix suffers most is measured, and the worst stay in higher precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectrt_export.gguf.files import open_gguf
from affectrt_export.gguf.perplexity import Score
from affectrt_export.spec import Finding, Layer, Repair

_PLAIN = ("f32", "f16", "bf16")
_KINDS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


@dataclass(frozen=True)
class Saved:
    """How it went."""

    keep: Mapping[str, str]
    """Of the attempt that passed: tensor to type. Empty: none did."""
    repairs: Sequence[Repair]
    sensitivity: Sequence[Layer]


def groups(source: Path) -> dict[str, dict[str, str]]:
    """Kind of matrix, in the first and the second half of the layers, to its tensors with the type that saves them: the one they have,
    where the source is quantised itself, else q8_0."""
    tensors = {tensor.name: tensor.tensor_type.name.lower() for tensor in open_gguf(source).tensors}
    layers = 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith("blk.")), default=0)
    out: dict[str, dict[str, str]] = {}
    for name, kind in tensors.items():
        parts = name.split(".")
        if name.startswith("blk.") and parts[2] in _KINDS and parts[-1] == "weight":
            half = "first" if int(parts[1]) < (layers + 1) // 2 else "second"
            out.setdefault(f"{parts[2]} of the {half} half", {})[name] = "q8_0" if kind in _PLAIN else kind
    return out


def repair(
    source: Path,
    measure: Callable[[Mapping[str, str]], Score],
    judge: Callable[[Mapping[str, str]], Sequence[Finding]],
    first: Score,
) -> Saved:
    """Keeps more and more groups, the worst first, until all gates pass or what fails is size or speed.

    measure: quantises with these tensors kept and scores on a few windows. judge: all gates, on all of the text. first: the score of the
    variant with nothing kept, on the same few windows.
    """
    there = groups(source)
    gain = {name: first.kl_mean - measure(tensors).kl_mean for name, tensors in there.items()}
    order = sorted(there, key=lambda name: (-gain[name], name))
    layers = [Layer(name, "MUL_MAT", max(0.0, gain[name])) for name in order]
    order = [name for name in order if gain[name] > 0]
    repairs: list[Repair] = []
    count = 1
    while order:
        count = min(count, len(order))
        keep = {tensor: kind for name in order[:count] for tensor, kind in there[name].items()}
        findings = judge(keep)
        repairs.append(Repair(tuple(order[:count]), tuple(findings)))
        failed = {finding.gate for finding in findings if not finding.passed}
        if not failed:
            return Saved(keep, repairs, layers)
        # More of the same would only be larger and slower.
        if failed & {"size", "latency"} or count == len(order):
            break
        count += max(1, count // 2)
    return Saved({}, repairs, layers)
