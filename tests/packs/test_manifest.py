"""The one parser: every rule of docs/pack-format.md broken once, each with the place and the reason in the error."""

# ruff: noqa: E501  (a table of cases reads best with a case a line)

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from affectrt import _core
from affectrt.errors import PackError
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ALL

DROP = object()


def changed(manifest: str, path: str, value: object) -> str:
    """The manifest as JSON with the value at "files.0.path" changed, or dropped; "labels.+" appends."""
    content = copy.deepcopy(ALL[manifest])
    *way, last = path.split(".")
    at = content
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    if last == "+":
        at.append(value)
    elif value is DROP:
        del at[int(last) if last.isdigit() else last]
    else:
        at[int(last) if last.isdigit() else last] = value
    return json.dumps(content)


def in_float32(value: object) -> object:
    """The constants are kept as float32: equal is what is equal after that."""
    if isinstance(value, dict):
        return {key: in_float32(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_float32(item) for item in value]
    return float(np.float32(value)) if isinstance(value, (int, float)) and abs(value) < 1e6 else value


@pytest.mark.parametrize("name", ALL)
def test_good_manifests_survive_being_read_and_written(name):
    text = _core.parse_manifest(json.dumps(ALL[name]))
    assert in_float32(json.loads(text)) == in_float32(ALL[name])
    assert _core.parse_manifest(text) == text


# manifest, place, value, what the error must say
CASES = [
    ("faces", "format", "other-pack", r"format: expected affectrt-pack, got \"other-pack\""),
    ("faces", "format_version", 2, r"format_version: expected 1, got 2.*upgrade"),
    ("faces", "format_version", 0, r"format_version: expected an integer"),
    ("faces", "format_version", 1.0, r"format_version: expected an integer in .*, got 1\.0"),
    ("faces", "format_version", True, r"format_version: expected an integer in .*, got true"),
    ("faces", "name", "Upper", r"name: expected a name of lower-case"),
    ("faces", "name", "-first", r"name: expected a name"),
    ("faces", "name", "a" * 65, r"name: expected a name"),
    ("faces", "name", "../x", r"name: expected a name"),
    ("faces", "name", 3, r"name: expected a text, got 3"),
    ("faces", "version", "1.0", r"version: expected MAJOR.MINOR.PATCH"),
    ("faces", "version", "1.0.0.0", r"version: expected MAJOR"),
    ("faces", "version", "01.0.0", r"version: expected MAJOR"),
    ("faces", "version", "1..0", r"version: expected MAJOR"),
    ("faces", "version", "1.0.0-rc1", r"version: expected MAJOR"),
    ("faces", "task", "face-recognition", r"task: expected face-detection \| .* got \"face-recognition\""),
    ("faces", "description", "", r"description: expected a text that is not empty"),
    ("faces", "description", "a\nb", r"description: expected one line"),
    ("faces", "description", "x" * 20000, r"description: expected a text of at most"),
    ("faces", "license", "MIT", r"license: expected an object, got \"MIT\""),
    ("faces", "license.weights", DROP, r"license.weights: expected this key, got none"),
    ("faces", "license.code", "", r"license.code: expected a text that is not empty"),
    ("faces", "license.weights", "NOASSERTION", r"license.weights: expected an SPDX"),
    ("faces", "license.weights", "unknown", r"license.weights: expected an SPDX"),
    ("faces", "source", [], r"source: expected an array of 1 to"),
    ("faces", "source.0.sha256", "ABC", r"source\[0\].sha256: expected 64 lower-case hex"),
    ("faces", "source.0.color", "red", r"source\[0\]: expected only the keys .*unknown key \"color\""),
    ("faces", "card", "MISSING.md", r"card: expected a file that is listed under files"),
    ("faces", "card", "../CARD.md", r"card: expected a relative path inside the pack, .*part \"\.\.\""),
    ("faces", "intended_use", DROP, r"intended_use: expected this key"),
    ("faces", "known_limits", [], r"known_limits: expected an array of 1"),
    ("faces", "known_limits.0", "  ", r"known_limits\[0\]: expected a text that is not empty"),
    ("faces", "recipe", 3, r"recipe: expected a text"),
    ("faces", "surprise", 1, r"top level: expected only the keys .*unknown key \"surprise\""),
    ("faces", "files", {}, r"files: expected an array"),
    ("faces", "files.0.size_bytes", -1, r"files\[0\].size_bytes: expected an integer"),
    ("faces", "files.0.size_bytes", 2**63, r"files\[0\].size_bytes: expected an integer"),
    ("faces", "files.0.size_bytes", 2**70, r"files\[0\].size_bytes: expected an integer"),
    ("faces", "files.0.size_bytes", "12", r"files\[0\].size_bytes: expected an integer in .*got \"12\""),
    ("faces", "files.0.sha256", "A" * 64, r"files\[0\].sha256: expected 64 lower-case"),
    ("faces", "files.0.mode", 0o777, r"files\[0\]: expected only the keys"),
    ("faces", "files.+", {"path": "pack.json", "size_bytes": 1, "sha256": "0" * 64}, r"path: expected a file other than pack.json"),
    ("faces", "files.+", {"path": "CARD.md", "size_bytes": 1, "sha256": "0" * 64}, r"path: expected every path once"),
    ("faces", "files.+", {"path": "CARD.md/x", "size_bytes": 1, "sha256": "0" * 64}, r"files: expected paths of which none is the folder"),
    ("faces", "inputs", [], r"inputs: expected an array of 1"),
    ("faces", "inputs.0.kind", "audio", r"inputs\[0\].kind: expected image \| text"),
    ("faces", "inputs.0.layout", "chwn", r"inputs\[0\].layout: expected nchw \| nhwc"),
    ("faces", "inputs.0.color", "cmyk", r"inputs\[0\].color: expected rgb"),
    ("faces", "inputs.0.width_px", 0, r"inputs\[0\].width_px: expected an integer in \[1, 8192\]"),
    ("faces", "inputs.0.width_px", 1000000, r"inputs\[0\].width_px: expected an integer in \[1, 8192\]"),
    ("faces", "inputs.0.mean", [1, 2, 3], r"inputs\[0\].mean: expected an array of 1"),
    ("faces", "inputs.0.scale", [0], r"inputs\[0\].scale: expected scales other than 0"),
    ("faces", "inputs.0.scale", [1e-50], r"inputs\[0\].scale: expected scales other than 0"),
    ("faces", "inputs.0.scale", [1e300], r"inputs\[0\].scale\[0\]: expected a number in"),
    ("faces", "inputs.0.pad_value", [256], r"inputs\[0\].pad_value\[0\]: expected a number in \[0.0, 255.0\]"),
    ("faces", "inputs.0.fit", "fill", r"inputs\[0\].fit: expected stretch \| letterbox"),
    ("faces", "inputs.0.dynamic_batch", 1, r"inputs\[0\].dynamic_batch: expected true or false"),
    ("faces", "inputs.0.crop", {"kind": "circle"}, r"crop.kind: expected box \| key_points"),
    ("faces", "inputs.0.crop", {"kind": "box"}, r"crop.scale: expected this key"),
    ("faces", "inputs.0.crop", {"kind": "key_points", "points": ["elbow", "mouth"], "template": [[0, 0], [1, 1]]}, r"points\[0\]: expected right_eye"),
    ("faces", "inputs.0.crop", {"kind": "key_points", "points": ["mouth"], "template": [[0, 0]]}, r"points: expected an array of 2 to"),
    ("faces", "inputs.0.crop", {"kind": "key_points", "points": ["mouth", "mouth"], "template": [[0, 0], [1, 1]]}, r"every key point once"),
    ("faces", "inputs.0.crop", {"kind": "key_points", "points": ["mouth", "nose_tip"], "template": [[0, 0]]}, r"template: expected an array of 2"),
    ("faces", "inputs.0.crop", {"kind": "key_points", "points": ["mouth", "nose_tip"], "template": [[1, 1], [1, 1]]}, r"do not all coincide"),
    ("faces", "outputs", [], r"outputs: expected one output of kind"),
    ("faces", "outputs.0.kind", "boxes", r"outputs\[0\].kind: expected probabilities \| logits"),
    ("faces", "outputs.0.shape", [-1, 8], r"outputs\[0\].shape: expected 7 numbers an item \(one a label\), got \[-1, 8\]"),
    ("faces", "outputs.0.shape", [-1, 0], r"outputs\[0\].shape\[1\]: expected a size, or -1"),
    ("faces", "outputs.0.shape", [2**24, 2**24], r"outputs\[0\].shape: expected a shape of at most"),
    ("faces", "outputs.0.shape", [1] * 9, r"outputs\[0\].shape: expected an array of 0 to 8"),
    ("faces", "labels", [], r"labels: expected at least one label"),
    ("faces", "labels.0.name", "unknown", r"labels\[0\].name: expected a label other than unknown"),
    ("faces", "labels.1.name", ALL["faces"]["labels"][0]["name"], r"labels\[1\].name: expected every label once"),
    ("faces", "labels.0.valence", 1.5, r"labels\[0\].valence: expected a number in \[-1.0, 1.0\]"),
    ("faces", "labels.0.dominance", -1.5, r"labels\[0\].dominance: expected a number in \[-1.0, 1.0\]"),
    ("faces", "labels.0.dominance", None, r"labels\[0\].dominance: expected a number"),
    ("faces", "labels.0.surprise", 0, r"labels\[0\]: expected only the keys .*dominance.*unknown key \"surprise\""),
    ("faces", "labels.6", DROP, r"outputs\[0\].shape: expected 6 numbers"),
    ("faces", "decode.kind", "ssd", r"decode.kind: expected softmax \| sigmoid"),
    ("faces", "decode.temperature", 0, r"decode.temperature: expected a number in"),
    ("faces", "decode.thresholds", [0.5] * 7, r"decode.thresholds: expected an empty array"),
    ("faces", "decode.unknown_below", "NaN", r"decode.unknown_below: expected a number"),
    ("faces", "variants", [], r"variants: expected an array of 1"),
    ("faces", "variants.0.file", "other.onnx", r"variants\[0\].file: expected a file that is listed under files"),
    ("faces", "variants.0.file", "/etc/passwd", r"variants\[0\].file: expected a relative path inside the pack.*absolute"),
    ("faces", "variants.0.name", "auto", r"variants\[0\].name: expected a name other than auto"),
    ("faces", "variants.0.name", "a/b", r"variants\[0\].name: expected a name of letters"),
    ("faces", "variants.+", ALL["faces"]["variants"][0], r"variants\[.\].name: expected every variant name once"),
    ("faces", "variants.0.format", "pickle", r"variants\[0\].format: expected onnx \| gguf"),
    ("faces", "variants.0.format", "gguf", r"variants\[0\].format: expected onnx for the task face-expression"),
    ("faces", "variants.0.precision", "fp8", r"variants\[0\].precision: expected fp32"),
    ("faces", "variants.0.golden_tolerance_abs", -1, r"golden_tolerance_abs: expected a number in"),
    ("faces", "variants.0.requires", ["rm -rf"], r"requires\[0\]: expected a name of letters"),
    ("faces", "variants.0.measured", [{"metric": "a", "data": "b"}], r"measured\[0\].value: expected this key"),
    ("faces", "golden", [], r"golden: expected an array of 1"),
    ("faces", "golden.0.input", {"text": "hi"}, r"golden\[0\].input: expected the key image, got \"text\""),
    ("faces", "golden.0.input.color", "rgb", r"golden\[0\].input.color: expected rgb8"),
    ("faces", "golden.0.input.image", "CARD.md", r"golden\[0\].input.image: expected a .npy file"),
    ("faces", "golden.0.input.image", "golden/none.npy", r"golden\[0\].input.image: expected a file that is listed"),
    ("faces", "golden.0.expected", {}, r"golden\[0\].expected: expected the key probs only, got none"),
    ("faces", "golden.0.expected", {"tokens": "CARD.md"}, r"golden\[0\].expected: expected the key probs only"),
    ("blazeface-full-range", "decode.strides", [4, 8], r"decode.anchors_per_cell: expected an array of 2"),
    ("blazeface-full-range", "decode.anchors_per_cell", [2], r"shape: expected \d+ numbers an item \(\d+ anchors"),
    ("blazeface-full-range", "decode.key_points", ["right_eye"], r"shape: expected \d+ numbers an item"),
    ("blazeface-full-range", "decode.key_points.0", "elbow", r"decode.key_points\[0\]: expected right_eye"),
    ("blazeface-full-range", "decode.strides", [0], r"decode.strides\[0\]: expected an integer in \[1"),
    ("blazeface-full-range", "decode.score_threshold", 2, r"decode.score_threshold: expected a number"),
    ("blazeface-full-range", "labels", [{"name": "face", "valence": 0, "arousal": 0}], r"labels: expected an empty list"),
    ("face-mesh-478", "decode.count", 468, r"shape: expected 1404 numbers an item"),
    ("face-mesh-478", "decode.presence_threshold", None, r"decode.presence_threshold: expected a number"),
    ("blendshapes-52", "decode.landmark_indices", [1, 2], r"inputs\[0\].shape: expected \[..., 2, 2\]"),
    ("blendshapes-52", "decode.landmark_indices.0", -1, r"decode.landmark_indices\[0\]: expected an integer"),
    ("blendshapes-52", "labels.51", DROP, r"outputs\[0\].shape: expected 51 numbers"),
    ("text", "inputs.0.tokenizer", "none.json", r"inputs\[0\].tokenizer: expected a file that is listed"),
    ("text", "inputs.0.max_tokens", 0, r"inputs\[0\].max_tokens: expected an integer"),
    ("text", "inputs.0.mask_tensor", "input_ids", r"inputs\[0\]: expected different names"),
    ("text", "decode.thresholds", [0.5], r"decode.thresholds: expected 2 numbers, one a label, got an array of 1"),
    ("text", "decode.thresholds.0", 1.5, r"decode.thresholds\[0\]: expected a number in \[0.0, 1.0\]"),
    ("text", "decode.kind", "identity", r"outputs: expected one output of kind probabilities, got 0"),
    ("text", "inputs.0", {"tensor": "x", "kind": "tensor", "shape": [1]}, r"inputs\[0\].kind: expected text for the task text-emotion"),
    ("text", "outputs.+", {"tensor": "logits", "kind": "embedding", "shape": [1]}, r"outputs\[1\].tensor: expected every tensor once"),
    ("embedding", "labels", [{"name": "joy", "valence": 0, "arousal": 0}], r"labels: expected an empty list for this task"),
    ("embedding", "outputs", [], r"outputs: expected one output of kind embedding, got 0"),
    ("embedding", "outputs.0.kind", "logits", r"outputs\[0\].kind: expected embedding for the task text-embedding, got logits"),
    ("embedding", "outputs.0.shape", [-1, 3], r"outputs\[0\].shape: expected \[-1, -1, D\] for pooling mean or cls, got \[-1, 3\]"),
    ("embedding", "outputs.0.shape", [-1, 8, 3], r"outputs\[0\].shape: expected \[-1, -1, D\]"),
    ("embedding", "outputs.0.shape", [-1, -1, -1], r"outputs\[0\].shape: expected \[-1, -1, D\]"),
    ("embedding", "outputs.0.shape", [], r"outputs\[0\].shape: expected \[-1, -1, D\]"),
    ("pooled", "outputs.0.shape", [-1, -1, 3], r"outputs\[0\].shape: expected \[-1, D\] for pooling none, got \[-1, -1, 3\]"),
    ("pooled", "outputs.0.shape", [1, 3], r"outputs\[0\].shape: expected \[-1, D\] for pooling none, got \[1, 3\]"),
    ("embedding", "decode.kind", "sigmoid", r"decode.kind: expected embedding, got \"sigmoid\""),
    ("embedding", "decode.pooling", "max", r"decode.pooling: expected mean \| cls \| none, got \"max\""),
    ("embedding", "decode.normalize", 1, r"decode.normalize: expected true or false, got 1"),
    ("embedding", "decode.normalize", DROP, r"decode.normalize: expected this key"),
    ("embedding", "decode.temperature", 1.0, r"decode: expected only the keys .*unknown key \"temperature\""),
    ("embedding", "golden.0.expected", {"probs": "golden/p.npy"}, r"golden\[0\].expected: expected the key embedding only, got \"probs\""),
    ("embedding", "golden.0.input", {"points": "golden/p.npy"}, r"golden\[0\].input: expected the key text"),
    ("embedding", "variants.0.format", "gguf", r"variants\[0\].format: expected onnx for the task text-embedding"),
    ("embedding", "inputs.0.mask_tensor", "input_ids", r"inputs\[0\]: expected different names"),
    ("span", "decode.question", "Why?", r"decode.question: expected a question with the field \{emotion\}, got \"Why\?\""),
    ("span", "decode.question", "{emotion} {name}", r"decode.question: expected no braces but those of the fields"),
    ("span", "decode.question", "{emotion.__class__}", r"decode.question: expected no braces"),
    ("span", "decode.question", "{emotion!r}", r"decode.question: expected no braces"),
    ("span", "decode.question", "{emotion:>9999999999}", r"decode.question: expected no braces"),
    ("span", "decode.question", "{{emotion}}", r"decode.question: expected no braces"),
    ("span", "decode.question", "{emotion} }", r"decode.question: expected no braces"),
    ("span", "decode.question", "{emotion} {", r"decode.question: expected no braces"),
    ("span", "decode.question", "a\n{emotion}", r"decode.question: expected one line"),
    ("span", "decode.question", DROP, r"decode.question: expected this key"),
    ("span", "decode.kind", "pair", r"decode.kind: expected span, got \"pair\""),
    ("span", "decode.max_answer_tokens", 0, r"decode.max_answer_tokens: expected an integer in \[1"),
    ("span", "decode.max_answer_tokens", 5, r"decode.overlap_tokens: expected at least 4 \(max_answer_tokens - 1\) and under half of the 8 tokens .*got 3"),
    ("span", "decode.overlap_tokens", 4, r"decode.overlap_tokens: expected at least 3 .* under half of the 8 tokens .*got 4"),
    ("span", "decode.overlap_tokens", 2**31, r"decode.overlap_tokens: expected an integer"),
    ("span", "decode.null_threshold", "high", r"decode.null_threshold: expected a number"),
    ("span", "decode.null_threshold", 1e300, r"decode.null_threshold: expected a number in"),
    ("span", "decode.labels", [], r"decode: expected only the keys .*unknown key \"labels\""),
    ("span", "outputs.0.shape", [-1, -1, 3], r"outputs\[0\].shape: expected \[-1, -1, 2\], two logits a token, got \[-1, -1, 3\]"),
    ("span", "outputs.0.shape", [-1, 8, 2], r"outputs\[0\].shape: expected \[-1, -1, 2\]"),
    ("span", "outputs.0.shape", [], r"outputs\[0\].shape: expected \[-1, -1, 2\]"),
    ("span", "outputs.0.kind", "logits", r"outputs\[0\].kind: expected span_logits for the task text-span, got logits"),
    ("span", "outputs", [], r"outputs: expected one output of kind span_logits, got 0"),
    ("span", "labels", [{"name": "joy", "valence": 0, "arousal": 0}], r"labels: expected an empty list for this task"),
    ("span", "inputs.0", {"tensor": "x", "kind": "tensor", "shape": [1]}, r"inputs\[0\].kind: expected text for the task text-span"),
    ("span", "golden.0.input.question", DROP, r"golden\[0\].input: expected the key question for the task text-span, and for no other, got none"),
    ("span", "golden.0.input", {"question": "why?"}, r"golden\[0\].input.points: expected this key"),
    ("span", "golden.0.expected", {"probs": "golden/p.npy"}, r"golden\[0\].expected: expected the key logits only"),
    ("span", "variants.0.format", "gguf", r"variants\[0\].format: expected onnx for the task text-span"),
    ("text", "golden.0.input.question", "why?", r"golden\[0\].input: expected the key question for the task text-span, and for no other, got it"),
    ("pair", "decode.yes", "maybe", r"decode.yes: expected the name of a label, got \"maybe\""),
    ("pair", "decode.threshold", 1.5, r"decode.threshold: expected a number in \[0.0, 1.0\]"),
    ("pair", "decode.separator", " ", r"decode.separator: expected a text that is not empty"),
    ("pair", "decode.separator", "a b", r"decode.separator: expected a separator without blanks, got \"a b\""),
    ("pair", "decode.separator", DROP, r"decode.separator: expected this key"),
    ("pair", "decode.kind", "softmax", r"decode.kind: expected pair, got \"softmax\""),
    ("pair", "decode.temperature", 1.0, r"decode: expected only the keys .*unknown key \"temperature\""),
    ("pair", "labels", [], r"labels: expected at least one label"),
    ("pair", "labels.0", DROP, r"outputs\[0\].shape: expected \[-1, 1\], a logit a label, got \[-1, 2\]"),
    ("pair", "outputs.0.shape", [2, 1], r"outputs\[0\].shape: expected \[-1, 2\]"),
    ("pair", "outputs.0.kind", "probabilities", r"outputs\[0\].kind: expected logits for the task text-pair"),
    ("pair", "golden.0.expected", {"logits": "golden/p.npy"}, r"golden\[0\].expected: expected the key probs only"),
    ("chat", "inputs.0.context_tokens", 0, r"inputs\[0\].context_tokens: expected an integer"),
    ("chat", "decode.top_p", 0, r"decode.top_p: expected a number"),
    ("chat", "decode.stop", [""], r"decode.stop\[0\]: expected a text that is not empty"),
    ("chat", "variants.0.format", "onnx", r"variants\[0\].format: expected gguf for the task dialogue"),
    ("chat", "files.0.remote", "pypi:x==1/CARD.md", r"card: expected a file that the pack carries"),
    ("chat", "files.2.remote", "", r"files\[2\].remote: expected a text that is not empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("manifest", "path", "value", "said"), CASES, ids=[f"{c[0]}-{c[1]}-{'dropped' if c[2] is DROP else str(c[2])[:30]}" for c in CASES]
)
def test_each_rule_broken_once(manifest, path, value, said):
    with pytest.raises(PackError, match=said) as caught:
        _core.parse_manifest(changed(manifest, path, value))
    assert str(caught.value).startswith("pack.json: ")


def test_labels_on_two_axes_stay_readable():
    content = json.loads(changed("faces", "labels.0.dominance", DROP))
    read = json.loads(_core.parse_manifest(json.dumps(content)))["labels"]
    assert "dominance" not in read[0]
    assert read[1] == {"name": "disgust", "valence": 0.5, "arousal": -0.5, "dominance": 0.25}


@pytest.mark.parametrize("key", sorted(ALL["faces"].keys() - {"recipe"}))
def test_every_key_is_needed(key):
    with pytest.raises(PackError, match=rf"pack.json: {key}: expected this key, got none"):
        _core.parse_manifest(changed("faces", key, DROP))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/abs", "absolute"), ("a//b", "empty part"), ("a/./b", "part"), ("a/../b", "part"), ("..", "part"), ("a\\b", "backslash"),
        ("C:x", "drive"), ("a\nb", "control"), ("a\0b", "control"), ("a/", "empty part"), ("x" * 300, "255"), ("x/" * 600 + "x", "1024"), ("", "empty"),
    ],
)  # fmt: skip
def test_paths_that_may_leave_the_pack(path, why):
    with pytest.raises(PackError, match=rf"files\[0\].path: expected a relative path inside the pack.*{why}"):
        _core.parse_manifest(changed("faces", "files.0.path", path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected UTF-8 JSON"),
        ("{", "expected UTF-8 JSON"),
        ("[]", "top level: expected an object, got an array of 0"),
        ("null", "top level: expected an object, got null"),
        ("{} {}", "expected UTF-8 JSON"),
        ('{"format": NaN}', "expected UTF-8 JSON"),
        ('{"format": Infinity}', "expected UTF-8 JSON"),
        ('{"format": 1e999}', "overflow"),
        ('{"format": 01}', "expected UTF-8 JSON"),
        ("{'format': 1}", "expected UTF-8 JSON"),
        ('{"format": 1,}', "expected UTF-8 JSON"),
        ('{"format": 1 /* no */}', "expected UTF-8 JSON"),
        ('{"a": 1, "a": 1}', 'every key once, got "a" twice'),
        ('{"x": {"a": 1, "b": {"a": 2}, "a": 1}}', 'every key once, got "a" twice'),
        ('{"format": "\\ud800"}', "expected UTF-8 JSON"),
        ("[" * 100_000, "levels of nesting"),
        ('{"a":' * 100_000, "levels of nesting"),
        (" " * (1 << 20) + "{}", "at most 1048576 bytes"),
        (b'{"format": "\xff"}', "expected UTF-8 JSON"),
        (b'{"format": "\xc0\xaf"}', "expected UTF-8 JSON"),
        (b"\xff\xfe{\x00}\x00", "expected UTF-8 JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_texts_that_are_no_manifest(text, said):
    with pytest.raises(PackError, match=said):
        _core.parse_manifest(text)


def test_a_newer_format_says_so_before_anything_else():
    text = json.dumps({"format": "affectrt-pack", "format_version": 7, "whatever": ["a newer format", "may hold"]})
    with pytest.raises(PackError, match=r"expected 1, got 7.*newer affectrt; upgrade"):
        _core.parse_manifest(text)


def test_the_largest_manifest_that_is_allowed_is_read():
    content = copy.deepcopy(ALL["faces"])
    text = json.dumps(content)
    assert _core.parse_manifest(text + " " * ((1 << 20) - len(text)))


def places(value: object, way: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [way, *(place for key, item in value.items() for place in places(item, (*way, key)))]
    if isinstance(value, list):
        return [way, *(place for i, item in enumerate(value[:3]) for place in places(item, (*way, i)))]
    return [way]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(ALL)), st.data(), JSON_VALUES)
def test_any_value_anywhere_is_taken_or_refused(name, data, value):
    content = copy.deepcopy(ALL[name])
    way = data.draw(st.sampled_from([place for place in places(content) if place]))
    at = content
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = value
    try:
        text = _core.parse_manifest(json.dumps(content))
    except PackError as error:
        assert str(error).startswith("pack.json: ")
        assert "expected" in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
    else:
        assert _core.parse_manifest(text) == text


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(PackError, match=r"^pack.json: .*expected"):
        _core.parse_manifest(data)
