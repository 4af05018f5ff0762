"""Dialogue models as GGUF: converted from safetensors, quantised with an importance matrix, measured, and chosen between.

`import gguf` inside this package means the library of that name.
"""

from __future__ import annotations

from affectrt_export.gguf.export import Exported, Options, export_gguf
from affectrt_export.gguf.ladder import Limits
from affectrt_export.gguf.rungs import Measuring

__all__ = ["Exported", "Limits", "Measuring", "Options", "export_gguf"]
