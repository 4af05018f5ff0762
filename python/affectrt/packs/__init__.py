"""Packs: where they come from, opening them, pulling what they do not carry.

The format is in docs/pack-format.md, the use in docs/packs.md.
"""

from affectrt.errors import PackError
from affectrt.packs.add import add
from affectrt.packs.cache import cache_root
from affectrt.packs.open import DEFAULTS, added_packs, default_packs, open_pack
from affectrt.packs.pack import Label, Pack, Variant
from affectrt.packs.pull import pull, verify_files

__all__ = [
    "DEFAULTS",
    "Label",
    "Pack",
    "PackError",
    "Variant",
    "add",
    "added_packs",
    "cache_root",
    "default_packs",
    "open_pack",
    "pull",
    "verify_files",
]
