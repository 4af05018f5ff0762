"""Engines that TensorRT builds for one GPU: kept in the cache under a key of all that they depend on, and built in the background.

Use is in docs/engines.md. A key stands for the networks of one object; `engines/<key>` in the cache holds what the provider wrote for them.
"""

from affectrt.engines.serve import Prepares, Preparing, open_networks
from affectrt.engines.store import StoredEngines, clear, engines_root, stored

__all__ = ["Prepares", "Preparing", "StoredEngines", "clear", "engines_root", "open_networks", "stored"]
