"""Trained models, read: a folder, a hub id, an ONNX file or a recipe in Python becomes a `Model`. To add a kind: docs/families.md."""

from __future__ import annotations

from pathlib import Path

from affectrt_export import checks
from affectrt_export.families.base import TASKS, Family, Options
from affectrt_export.families.encoder import Encoder
from affectrt_export.families.fernet import FerNet
from affectrt_export.families.hsemotion import HsEmotion
from affectrt_export.families.image import Image
from affectrt_export.families.minilm import MiniLm
from affectrt_export.families.onnx_file import OnnxFile
from affectrt_export.families.question import Question
from affectrt_export.families.recipe import Python, Recipe
from affectrt_export.families.source import Source, find
from affectrt_export.families.timm import Timm
from affectrt_export.spec import ExportError, Model

__all__ = ["FAMILIES", "TASKS", "Family", "Options", "Recipe", "Source", "find", "read"]

FAMILIES: tuple[Family, ...] = (MiniLm(), FerNet(), Question(), Encoder(), Image(), HsEmotion(), Timm(), OnnxFile(), Python())
"""Every kind of source; the first that claims one reads it."""


def read(source: str | Path, *, family: str | None = None, options: Options | None = None) -> Model:
    """The model of `source`: a folder in hub layout, a hub id `org/repo[@revision]`, an .onnx file with `options.contract`, a file of
    weights, or a recipe in Python (`file.py[:name]` or `module:name`).

    family: name of one of `FAMILIES`, instead of the one whose kind the source is of.

    Raises ExportError: nothing there, of no known family, or whatever the family or `checks.check_network` does not accept.
    """
    options = options or Options()
    found = find(source, options)
    model = _choose(found, family).read(found, options)
    if options.task not in ("", model.contract.task):
        raise ExportError(f"{found.origin}: a model for {model.contract.task}, the task {options.task} was asked for")
    checks.check_network(model.onnx, model.contract)
    return model


def _choose(source: Source, family: str | None) -> Family:
    if family is not None:
        named = {one.name: one for one in FAMILIES}
        if family not in named:
            raise ExportError(f"family {family!r} is not known; there are {', '.join(named)}")
        return named[family]
    for one in FAMILIES:
        if one.claims(source):
            return one
    architectures = ", ".join(source.config.get("architectures") or []) or "no architectures"
    what = f"model_type {source.model_type or 'none'!r}, {architectures}" if source.config else f"a {source.suffix or 'recipe'} file"
    known = "; ".join(f"{one.name} ({one.about})" for one in FAMILIES)
    raise ExportError(f"{source.origin}: {what}: no family reads it. Known are: {known}")
