"""The report of a pack that is converted as it is, without variants of lower precision to judge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectrt_export import measure, report
from affectrt_export.recipes._common import Options
from affectrt_export.report.record import PUBLISHED, Figure, Record, Variant, installed, this_commit, this_machine
from affectrt_export.spec import Bounds, ExportError, Feeds, Finding


def parity(difference: float, data: str) -> Finding:
    """The gate on the largest absolute difference to the framework that the network comes from; a pack outside it is not written."""
    bound = Bounds().parity_max
    assert bound is not None
    finding = Finding("parity", difference <= bound, difference, bound, f"largest difference, on {data}")
    if not finding.passed:
        raise ExportError(f"the converted network is {difference:.3g} from its source on {data}; at most {bound:g} was expected")
    return finding


def write(
    options: Options, manifest: Mapping[str, Any], network: bytes, feeds: Sequence[Feeds], held: Sequence[Finding], family: str
) -> Path:
    """Writes NAME.report beside the pack: what its manifest says was measured, and the latency of its one variant on `feeds`."""
    (variant,) = manifest["variants"]
    figures = [
        Figure(entry["metric"], entry["value"], entry["data"], detail=f"reference {entry['reference']}" if "reference" in entry else "")
        for entry in variant["measured"]
    ]
    record = Record(
        name=manifest["name"],
        family=family,
        task=manifest["task"],
        license=manifest["license"]["weights"],
        source=manifest["source"],
        command=manifest["recipe"],
        variants=[
            Variant(
                name=variant["name"],
                precision=variant["precision"],
                parent="",
                status=PUBLISHED,
                size_bytes=len(network),
                sha256=hashlib.sha256(network).hexdigest(),
                requires=variant["requires"],
                latency=measure.latency(network, feeds),
                figures=figures,
            )
        ],
        reference=variant["name"],
        parity=held,
        decode=manifest["decode"],
        machine=this_machine(),
        versions=installed(),
        commit=this_commit(),
    )
    folder = options.out / f"{manifest['name']}.report"
    report.write(record, folder)
    return folder
