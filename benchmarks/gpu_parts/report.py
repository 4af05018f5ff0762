"""What was found, and the dated files that say it: written whole, or not at all."""

from __future__ import annotations

import datetime
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One figure, or one comparison that passed or did not."""

    section: str
    name: str
    value: float | None
    """None: the comparison failed before there was a figure, or this machine does not tell it."""
    unit: str
    bound: str = ""
    """"<= 3" or "" for a figure that is only told."""
    met: bool | None = None
    note: str = ""


@dataclass
class Report:
    """Findings in the order in which they came."""

    machine: Mapping[str, Any]
    quick: bool
    not_a_gpu: str
    """Why no figure is one of a GPU; "" where they are."""
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What was not measured, each with the reason."""

    def figure(self, section: str, name: str, value: float | None, unit: str, note: str = "") -> None:
        self._add(Finding(section, name, value, unit, note=note))

    def bounded(self, section: str, name: str, value: float, unit: str, sign: str, bound: float, note: str = "") -> None:
        """A figure with a bound: "<=" or ">="."""
        met = value <= bound if sign == "<=" else value >= bound
        # What is no GPU has no speed to judge; what was computed is judged wherever it was.
        judged = None if self.not_a_gpu and section not in CORRECTNESS else met
        self._add(Finding(section, name, value, unit, f"{sign} {bound:g}", judged, note))

    def failed(self, section: str, name: str, why: str) -> None:
        self._add(Finding(section, name, None, "", "works", False, why))

    def passed(self, section: str, name: str, note: str = "") -> None:
        self._add(Finding(section, name, None, "", "works", True, note))

    def leave_out(self, what: str, why: str) -> None:
        print(f"left out: {what}: {why}", file=sys.stderr)
        self.left_out.append(f"{what}: {why}")

    def _add(self, finding: Finding) -> None:
        if finding.value is not None and not math.isfinite(finding.value):  # which JSON cannot say
            finding = replace(finding, value=None, note=f"no finite number: {finding.value}; {finding.note}".rstrip("; "))
        print(f"{finding.section}: {_line(finding)}", file=sys.stderr)
        self.findings.append(finding)

    @property
    def missed(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.met is False]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Both files. A report of the same day is replaced."""
        now = datetime.datetime.now(datetime.timezone.utc)
        record = {
            "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "command": " ".join(["python", *sys.argv]),
            "quick": self.quick,
            "not_a_gpu": self.not_a_gpu,
            "machine": self.machine,
            "findings": [asdict(finding) for finding in self.findings],
            "left_out": self.left_out,
            "bounds_missed": [f"{finding.section}: {finding.name}" for finding in self.missed],
        }
        stem = f"gpu-report-{now:%Y-%m-%d}"
        files = {".json": json.dumps(record, indent=1) + "\n", ".md": self._markdown(record)}
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for suffix, text in files.items():
            path = folder / f"{stem}{suffix}"
            partial = folder / f".{stem}{suffix}.{os.getpid()}"
            try:
                partial.write_text(text, encoding="utf-8")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            written.append(path)
        return written[0], written[1]

    def _markdown(self, record: Mapping[str, Any]) -> str:
        machine = self.machine
        lines = [f"# GPU report, {record['date']}", "", f"`{record['command']}`", ""]
        if self.not_a_gpu:
            lines += [f"**Not a GPU.** {self.not_a_gpu} Whether results are right is judged; times are those of a stand-in.", ""]
        if self.quick:
            lines += ["A short run (`--quick`): few repeats, small launches only.", ""]
        missed = [f"{finding.section}: {finding.name}" for finding in self.missed]
        lines += [f"{len(missed)} bounds missed: {'; '.join(missed)}." if missed else "Every bound that was judged is met.", ""]
        lines += ["## Machine", "", "| | |", "|---|---|"]
        runtime, clocks = machine["onnxruntime"], machine["nvidia_smi"] or {}
        shown = {
            "driver library": machine["driver_library"],
            "GPU": f"{machine['gpu']} ({machine['device']}), SM {machine['sm']}, {machine['multiprocessors']} multiprocessors",
            "memory": f"{machine['memory_bytes'] / 2**30:.1f} GiB{', shared with the CPU' if machine['integrated'] else ''}",
            "driver": f"CUDA {machine['driver_serves_cuda']}" + "".join(f", {key} {value}" for key, value in clocks.items()),
            "Jetson": ", ".join(f"{k} {v}" for k, v in (machine["host"]["jetson"] or {}).items()) or "no",
            "CPU": f"{machine['host']['cpu']['name']}, {machine['host']['cpu']['cores']} cores, load {machine['load_average']}",
            "ONNX Runtime": f"{runtime['version']}: {', '.join(runtime['providers'])}",
            "versions": ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
            "commit": machine["commit"],
        }
        lines += [f"| {key} | {value} |" for key, value in shown.items()]
        for section in dict.fromkeys(finding.section for finding in self.findings):
            unit = " (not a GPU)" if self.not_a_gpu and section not in CORRECTNESS else ""
            lines += ["", f"## {section}{unit}", "", "| | value | bound | met | |", "|---|---|---|---|---|"]
            lines += [_row(finding) for finding in self.findings if finding.section == section]
        if self.left_out:
            lines += ["", "## Left out", "", *(f"- {what}" for what in self.left_out)]
        return "\n".join(lines) + "\n"


KERNELS_RIGHT, FACES_RIGHT, TEXT_RIGHT = "Kernels: right", "Faces: as on the CPU", "Text: as on the CPU"
CORRECTNESS = (KERNELS_RIGHT, FACES_RIGHT, TEXT_RIGHT)


def _value(finding: Finding) -> str:
    return "" if finding.value is None else f"{finding.value:.4g} {finding.unit}".strip()


def _met(finding: Finding) -> str:
    return {True: "yes", False: "NO", None: "not judged" if finding.bound else ""}[finding.met]


def _line(finding: Finding) -> str:
    parts = [finding.name, _value(finding), finding.bound, _met(finding), finding.note]
    return "  ".join(part for part in parts if part)


def _row(finding: Finding) -> str:
    cells = [finding.name, _value(finding), finding.bound, _met(finding), finding.note]
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
