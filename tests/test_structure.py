"""The shape of the code: who may import whom, in Python and in C++, and what each package needs to be placed at all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "python" / "affectrt"
CSRC = ROOT / "csrc"

# Left to right: a part imports only what stands to its left, or itself. A new part of the package is added here.
ORDER = [
    "_core",
    "errors",
    "labels",
    "metrics",
    "policy",
    "engine",
    "packs",
    "engines",
    "perception",
    "memory",
    "affect",
    "dialogue",
    "expression",
    "companion",
    "serve",  # gives what stands to its left to other processes; only the command line starts it
    "bench",
    "doctor",
    "verify",
    "evaluate",
    "cli",
]
# The package's front, which names everything, and its command-line entry.
ENTRIES = {"__init__", "__main__"}

# What each folder of csrc may include; `ops` sees raw memory only, so neither packs nor ONNX Runtime.
CSRC_ALLOWS = {
    "core": {"core"},
    "pack": {"core", "pack"},
    "engine": {"core", "pack", "engine"},
    "ops": {"core", "pack", "ops"},
    "device": {"core", "device"},
    "gpu": {"core", "device", "ops", "gpu"},
    "custom_ops": {"core", "pack", "engine", "ops", "device", "gpu", "custom_ops"},
    "face": {"core", "pack", "engine", "ops", "device", "gpu", "face"},
    "bindings": {"core", "pack", "engine", "ops", "device", "gpu", "face", "bindings"},
}


def part_of(path: Path) -> str:
    return path.relative_to(PYTHON).parts[0].removesuffix(".py")


def imports_of(path: Path, package: str, root: Path) -> set[str]:
    """Full names of what a file imports from inside `package`: at the top, in functions and for type checkers alike."""
    here = (package, *path.relative_to(root).with_suffix("").parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from affectrt import packs` and `from affectrt.packs import open_pack` both name the part in one of these.
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def wrong_imports(path: Path) -> list[str]:
    part = part_of(path)
    wrong = []
    for name in imports_of(path, "affectrt", PYTHON):
        pieces = name.split(".")
        if pieces[0] == "affectrt_export":
            wrong.append(f"{name} (the runtime never imports the export toolchain)")
        if pieces[0] != "affectrt" or len(pieces) == 1 or part in ENTRIES or pieces[1] not in ORDER:
            continue
        if ORDER.index(pieces[1]) > ORDER.index(part):
            wrong.append(f"{name} (`{pieces[1]}` stands to the right of `{part}`)")
    return wrong


def python_files() -> list[Path]:
    return sorted(p for p in PYTHON.rglob("*.py") if "__pycache__" not in p.parts)


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PYTHON)))
def test_imports_go_left(path: Path) -> None:
    part = part_of(path)
    assert part in ORDER or part in ENTRIES, f"{part}: give it a place in ORDER"
    assert wrong_imports(path) == []


def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "affectrt"
    (package / "packs").mkdir(parents=True)
    monkeypatch.setattr("tests.test_structure.PYTHON" if __name__.startswith("tests.") else f"{__name__}.PYTHON", package)
    bad = package / "packs" / "open.py"
    for line in (
        "from affectrt.perception import face",
        "from affectrt import companion",
        "import affectrt.cli.main",
        "from ..perception.face import Face",
        "def f():\n    from ..dialogue import Dialogue",
        "import affectrt_export.gate",
    ):
        bad.write_text(line + "\n")
        assert len(wrong_imports(bad)) == 1, line
    bad.write_text("from affectrt import _core, errors\nfrom ..labels import LABELS\nfrom . import cache\nimport numpy\n")
    assert wrong_imports(bad) == []


def wrong_includes(text: str, folder: str) -> list[str]:
    wrong = []
    for line in re.findall(r"^\s*#\s*include\s*[<\"].*", text, re.MULTILINE):
        inside = re.search(r"[<\"]affectrt/(\w+)/", line)
        if inside and inside[1] not in CSRC_ALLOWS[folder]:
            wrong.append(line.strip())
        if not inside and '"' in line and folder != "bindings":  # the bindings' own headers are not installed
            wrong.append(f"{line.strip()} (write affectrt/<folder>/<file>.h)")
        if folder != "bindings" and re.search(r"pybind11|Python\.h", line):
            wrong.append(f"{line.strip()} (only bindings know Python)")
    return wrong


def cpp_files() -> list[Path]:
    return sorted(p for p in CSRC.rglob("*") if p.suffix in {".cc", ".h", ".cu", ".cuh"})


@pytest.mark.parametrize("path", cpp_files(), ids=lambda p: str(p.relative_to(CSRC)))
def test_includes_go_down(path: Path) -> None:
    folder = path.relative_to(CSRC).parts[0]
    assert folder in CSRC_ALLOWS, f"csrc/{folder}: give it a place in CSRC_ALLOWS"
    assert wrong_includes(path.read_text(encoding="utf-8"), folder) == []


def test_a_wrong_include_is_found() -> None:
    assert wrong_includes('#include "affectrt/engine/engine.h"\n', "ops") != []
    assert wrong_includes("#include <pybind11/pybind11.h>\n", "face") != []
    assert wrong_includes('#include "ops.h"\n', "ops") != []
    assert wrong_includes('#include <vector>\n#include "affectrt/core/error.h"\n', "ops") == []


def test_sources_are_listed_by_name() -> None:
    """A C++ file that CMakeLists.txt does not name is dead code."""
    listed = set(re.findall(r"csrc/[\w/]+\.cc", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")))
    present = {str(p.relative_to(ROOT)) for p in cpp_files() if p.suffix == ".cc"}
    assert present == listed


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_the_documentation_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []
