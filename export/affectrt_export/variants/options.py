"""What can be chosen of how variants are made."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("minmax", "percentile", "entropy")


@dataclass(frozen=True)
class Options:
    """Defaults are what docs/decisions/quantisation.md found best. ValueError where a value cannot be."""

    calibration: str = "minmax"
    """How static int8 chooses the range of a value: "minmax", "percentile" or "entropy"."""
    percentile: float = 99.99
    """Share of values inside the range, in percent, for "percentile"."""
    weight_bits: int = 7
    """Of int8 for CPUs: 7, so that every processor gives the same answer, or 8 where all that it will meet have VNNI or are Arm."""
    int4_block: int = 32
    """How many weights share a scale: a power of two, 16 to 256."""
    int4_embeddings: str = "int8"
    """Precision of tables that are looked up, beside int4 weights: "int8" or "int4"."""
    master_bits: int = 8
    """Of the weights of a master: 8 (a scale a channel) or 4 (a scale a block)."""
    trt_base: str = "auto"
    """What int8 for TensorRT works in between the layers: "fp16", "fp32", or "auto": fp16 where there is attention."""
    quantise_attention: bool = False
    """int8 for TensorRT: also the products inside attention, of two computed values."""

    def __post_init__(self) -> None:
        if self.calibration not in METHODS:
            raise ValueError(f"calibration must be one of {', '.join(METHODS)}, not {self.calibration!r}")
        if not 50 < self.percentile <= 100:
            raise ValueError(f"percentile must be above 50 and at most 100, not {self.percentile}")
        if self.weight_bits not in (7, 8):
            raise ValueError(f"weight_bits must be 7 or 8, not {self.weight_bits}")
        if self.int4_block not in (16, 32, 64, 128, 256):
            raise ValueError(f"int4_block must be 16, 32, 64, 128 or 256, not {self.int4_block}")
        if self.int4_embeddings not in ("int8", "int4"):
            raise ValueError(f"int4_embeddings must be int8 or int4, not {self.int4_embeddings!r}")
        if self.trt_base not in ("auto", "fp16", "fp32"):
            raise ValueError(f"trt_base must be auto, fp16 or fp32, not {self.trt_base!r}")
        if self.master_bits not in (4, 8):
            raise ValueError(f"master_bits must be 4 or 8, not {self.master_bits}")

    @property
    def weight_limit(self) -> int:
        """Largest absolute value of an int8 weight for CPUs."""
        return 63 if self.weight_bits == 7 else 127
