"""Dialogue models as GGUF: converted from safetensors, quantised with an importance matrix, measured, and chosen between.

`import gguf` inside this package means the library of that name.
"""

from __future__ import annotations
