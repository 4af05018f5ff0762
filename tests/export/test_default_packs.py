"""The packs that travel with the product: complete, small, and right by the plain NumPy reference of the format page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import tokenizers
from affectrt_export import reference

PACKS = Path(__file__).resolve().parents[2] / "python" / "affectrt" / "packs" / "default"
NAMES = sorted(p.name for p in PACKS.iterdir())
BUDGET_BYTES = 40_000_000


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PACKS / name / "pack.json").read_text(encoding="utf-8"))
    return content


def test_all_defaults_are_there() -> None:
    expected = {
        "bge-small-en",
        "blazeface-full-range",
        "blazeface-short-range",
        "blendshapes-52",
        "face-mesh-478",
        "fernet-fer7",
        "minilm-goemotions",
        "smollm2-135m",
        "xception-fer7",
    }
    assert set(NAMES) == expected


def test_all_defaults_fit_the_budget() -> None:
    assert sum(p.stat().st_size for p in PACKS.rglob("*") if p.is_file()) < BUDGET_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_files_are_what_the_manifest_says(name: str) -> None:
    entries = {entry["path"]: entry for entry in manifest(name)["files"]}
    found = {p.relative_to(PACKS / name).as_posix() for p in (PACKS / name).rglob("*") if p.is_file()} - {"pack.json"}
    assert found == {path for path, entry in entries.items() if "remote" not in entry}
    for path in found:
        data = (PACKS / name / path).read_bytes()
        assert len(data) == entries[path]["size_bytes"] and hashlib.sha256(data).hexdigest() == entries[path]["sha256"], path


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_where_things_come_from_and_where_not_to_use_them(name: str) -> None:
    card = (PACKS / name / "CARD.md").read_text(encoding="utf-8")
    for heading in ("## Origin and licence", "## Known limits", "## Where not to use it", "## Made by"):
        assert heading in card


@pytest.mark.parametrize("name", [n for n in NAMES if not any("remote" in entry for entry in manifest(n)["files"])])
def test_golden_vectors(name: str) -> None:
    content = manifest(name)
    for variant in content["variants"]:
        session = onnxruntime.InferenceSession(str(PACKS / name / variant["file"]), providers=["CPUExecutionProvider"])
        outputs = [o.name for o in session.get_outputs()]
        assert outputs == [o["tensor"] for o in content["outputs"]]
        for golden in content["golden"]:
            feeds = inputs(name, content, golden)
            raw = dict(zip(outputs, session.run(None, feeds), strict=True))
            actual, unit = decoded(name, content, golden, raw)
            (path,) = golden["expected"].values()
            expected = np.load(PACKS / name / path, allow_pickle=False)
            assert actual.shape == expected.shape
            assert np.abs(actual - expected).max() <= variant["golden_tolerance_abs"] * unit


def picture(name: str, golden: dict[str, Any]) -> npt.NDArray[np.uint8]:
    value: npt.NDArray[np.uint8] = np.load(PACKS / name / golden["input"]["image"], allow_pickle=False)
    return value


def inputs(name: str, content: dict[str, Any], golden: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    (contract,) = content["inputs"]
    if contract["kind"] == "image":
        return {contract["tensor"]: reference.image_tensor(picture(name, golden), golden["input"]["color"], contract)}
    if contract["kind"] == "tensor":
        points = np.load(PACKS / name / golden["input"]["points"], allow_pickle=False)
        return {contract["tensor"]: points.reshape(contract["shape"])}
    tokenizer = tokenizers.Tokenizer.from_file(str(PACKS / name / contract["tokenizer"]))
    assert tokenizer.truncation is None and tokenizer.padding is None
    ids = np.array([tokenizer.encode(golden["input"]["text"]).ids], np.int64)
    return {contract["tensor"]: ids, contract["mask_tensor"]: np.ones_like(ids)}


def decoded(
    name: str, content: dict[str, Any], golden: dict[str, Any], raw: dict[str, npt.NDArray[np.float32]]
) -> tuple[npt.NDArray[np.floating[Any]], float]:
    """The decoded answer, and what one unit of the tolerance is."""
    rule, (contract,) = content["decode"], content["inputs"]
    if rule["kind"] == "ssd":
        rows = reference.detections(raw["boxes"], raw["scores"], rule, contract, picture(name, golden))
        return rows, float(min(rows[0, 3] - rows[0, 1], rows[0, 4] - rows[0, 2]))
    if rule["kind"] == "landmarks":
        height, width = picture(name, golden).shape[:2]
        assert 1 / (1 + np.exp(-raw["presence"][0, 0])) > rule["presence_threshold"]
        return raw["landmarks"][0] * np.array([width, height, width]) / rule["scale_px"], float(width)
    if rule["kind"] == "blendshapes":
        return raw["scores"][0], 1.0
    logits = raw["logits"][0].astype(np.float64) / rule["temperature"]
    if rule["kind"] == "sigmoid":
        return 1 / (1 + np.exp(-logits)), 1.0
    power = np.exp(logits - logits.max())
    return power / power.sum(), 1.0
