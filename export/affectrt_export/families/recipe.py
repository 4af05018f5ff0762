"""A PyTorch module of the user's own, by a recipe in Python: `file.py`, `file.py:name` or `module:name` names a function that returns one.

It is the user's own code, run because the user named it; nothing in a checkpoint can lead here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affectrt_export.checks import check_finite
from affectrt_export.families.base import Options
from affectrt_export.families.source import Source, name_of
from affectrt_export.spec import F32, Contract, ExportError, Feeds, Model, Run


@dataclass(frozen=True)
class Recipe:
    """How a PyTorch module is read."""

    module: Any
    """torch.nn.Module with its weights; called with the inputs in order, returns the contract's outputs: a tensor, or a tuple of them."""
    inputs: Mapping[str, Any]
    """An example of each input, by the names of the contract: torch tensors of a batch of at least 2 (and at least 2 tokens)."""
    contract: Contract
    convolutional: bool
    license: str
    """SPDX id of the weights."""
    name: str = ""
    source: Sequence[Mapping[str, Any]] = ()
    """As pack.json writes it; empty: the recipe's own name."""
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Python:
    """Recipes in Python."""

    name: str = "recipe"
    about: str = "a PyTorch module by a recipe of yours: FILE.py[:NAME] or MODULE:NAME, a function that returns a Recipe"

    def claims(self, source: Source) -> bool:
        """By its form."""
        return bool(source.function)

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        import torch

        from affectrt_export.to_onnx import export

        made = _call(source)
        if not isinstance(made, Recipe):
            raise ExportError(f"{source.origin}: {source.function} was expected to return a Recipe, got {type(made).__name__}")
        if not isinstance(made.module, torch.nn.Module):
            raise ExportError(f"{source.origin}: a torch.nn.Module was expected as module, got {type(made.module).__name__}")
        module = made.module.float().eval()
        check_finite((name, value.numpy()) for name, value in module.state_dict().items())
        outputs = [str(entry["tensor"]) for entry in made.contract.outputs]
        names = {str(entry["tensor"]): entry for entry in made.contract.inputs}
        free = {name: {0: "n"} if names.get(name, {}).get("kind") == "image" else _axes(value) for name, value in made.inputs.items()}
        license = options.license or made.license
        return Model(
            name=options.name or made.name or name_of(source, options),
            family=self.name,
            onnx=export(module, made.inputs, outputs, free, strip=""),
            reference=_reference(module, list(made.inputs), outputs),
            contract=made.contract,
            convolutional=made.convolutional,
            license=license,
            source=made.source or [{"what": "weights", "origin": source.origin, "license": license}],
            notes=made.notes,
        )


def _axes(value: Any) -> dict[int, str]:
    return {0: "n", 1: "t"} if value.ndim == 2 else {0: "n"}


def _call(source: Source) -> Any:
    try:
        if source.place.suffix == ".py":
            spec = importlib.util.spec_from_file_location(f"affectrt_recipe_{source.place.stem}", source.place)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(str(source.place))
        function = getattr(module, source.function, None)
        if not callable(function):
            raise ExportError(f"{source.origin}: a function {source.function} was expected, there is none")
        return function()
    except ExportError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise ExportError(f"{source.origin}: the recipe failed: {type(error).__name__}: {error}") from error


def _reference(module: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    def run(feeds: Feeds) -> dict[str, F32]:
        import torch

        with torch.inference_mode():
            found = module(*(torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in inputs))
        values = found if isinstance(found, (tuple, list)) else [found]
        return {name: value.numpy() for name, value in zip(outputs, values, strict=True)}

    return run
