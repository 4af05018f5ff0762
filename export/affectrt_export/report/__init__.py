"""The report of an export: a record of all that was found, and from it report.md, .html, .json and pictures (docs/report.md)."""

from __future__ import annotations

from affectrt_export.report.record import DataSet, Figure, Record, Variant
from affectrt_export.report.writer import read, write

__all__ = ["DataSet", "Figure", "Record", "Variant", "read", "write"]
