"""Networks of the transformers library from a folder: weights without code, whole, finite, in fp32."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectrt_export.checks import check_finite
from affectrt_export.families.source import Source, weight_files
from affectrt_export.spec import ExportError


def load(source: Source, auto: str, *, pickles: bool = True) -> tuple[Any, list[Path]]:
    """The network (a torch module in eval mode) by the transformers class `auto`, and the files of its weights.

    pickles: take a pytorch_model.bin of tensors alone too.

    Raises ExportError: transformers is missing, pickled code, weights that are missing (a classifier that nobody trained) or not finite.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ExportError("reading this model needs the transformers library: pip install 'affectrt[export]'") from error
    files = weight_files(source)
    if not pickles and (others := [file.name for file in files if file.suffix != ".safetensors"]):
        raise ExportError(f"{source.origin}: weights as safetensors were expected, got {', '.join(others)}")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    more: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(str(source.place), **more)
        more |= {"config": config, "dtype": "float32", "attn_implementation": "eager", "output_loading_info": True, "use_safetensors": True}
        with _without_code(source, files) as folder:
            network, info = getattr(transformers, auto).from_pretrained(str(folder), **more)
    except ExportError:
        raise
    except Exception as error:  # transformers raises what any of its parts raise
        raise ExportError(f"{source.origin}: transformers cannot load it: {_line(error)}") from error
    lost = sorted({*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])})
    if lost:
        raise ExportError(
            f"{source.origin}: weights of every layer were expected, there are none that fit for {', '.join(lost[:5])}; is it fine-tuned?"
        )
    check_finite((name, value.numpy()) for name, value in network.state_dict().items())
    return network.eval(), files


@contextlib.contextmanager
def _without_code(source: Source, files: list[Path]) -> Iterator[Path]:
    """The folder, or one with the same weights as safetensors where they are in a pickle of tensors: transformers then opens no pickle."""
    if files[0].suffix != ".bin":
        yield source.place
        return
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as place:
        # A copy of each: weights that are tied share memory, which the format does not allow.
        tensors = {name: value.clone().contiguous() for name, value in state(files[0]).items()}
        save_file(tensors, Path(place) / "model.safetensors", {"format": "pt"})
        yield Path(place)


def state(path: Path) -> dict[str, Any]:
    """Weights by name from .safetensors, or from a .pt, .pth or .bin that holds tensors alone. Raises ExportError: pickled code."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExportError(
            f"{path.name}: a file of tensors was expected, it holds pickled Python objects, which can run any code when they are opened. "
            "Where you trust it, convert it with the code that made it: import torch, safetensors.torch as s; "
            "m = torch.load(FILE, weights_only=False); s.save_model(m, 'model.safetensors')"
        ) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise ExportError(f"{path.name}: a file of tensors was expected: {_line(error)}") from error
    for key in ("state_dict", "model"):  # training code often wraps them
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ExportError(f"{path.name}: tensors by name were expected, got {type(content).__name__}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
