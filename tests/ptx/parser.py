"""PTX text to a `Program`."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .errors import ParseError
from .operands import parse_operands
from .program import TYPE_BYTES, Instruction, Kernel, Location, Parameter, Program, Register, Variable

_LINKAGE = r"(?:\.(?:visible|extern|weak|common)\s+)*"
_VARIABLE = re.compile(
    rf"(?P<linkage>{_LINKAGE})\.(?P<space>global|const|shared|local)\s+(?:\.align\s+(?P<align>\d+)\s+)?(?:\.attribute\([^)]*\)\s*)?"
    r"\.(?P<type>\w+)\s+(?P<name>[\w$]+)\s*(?P<dims>(?:\[\d*\])*)\s*(?:=\s*(?P<data>.*))?$",
    re.DOTALL,
)
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(?:\.ptr\s*(?:\.\w+\s+)*(?:\d+\s+)?)?([\w$]+)(?:\[(\d+)\])?")
_ENTRY = re.compile(rf"{_LINKAGE}\.entry\s+([\w$]+)\s*(?:\((.*?)\))?\s*((?:\.\w+[^{{]*?)?)\{{", re.DOTALL)
_FUNCTION = re.compile(rf"{_LINKAGE}\.func\b[^{{;]*([{{;])", re.DOTALL)
_FILE = re.compile(r'\.file\s+(\d+)\s+"([^"]*)"')
_LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+\d+([^\n]*)")
_INLINED = re.compile(r"inlined_at\s+(\d+)\s+(\d+)\s+(\d+)")
_LABEL = re.compile(r"([\w$]+):")
_REG_RANGE = re.compile(r"(%?[\w$]+)<(\d+)>$")
_INSTRUCTION = re.compile(r"(?:@(!?)(%?[\w$]+)\s+)?([a-z][\w.:]*)\s*(.*)$", re.DOTALL)


def parse(text: str) -> Program:
    """A module as nvcc or NVRTC emits it. ParseError names the first text that is not understood."""
    # A path may have the two slashes of a comment in it, so the files are read first.
    files = {int(number): PurePosixPath(path).name for number, path in _FILE.findall(text)}
    text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", _FILE.sub("", text), flags=re.DOTALL))
    kernels: dict[str, Kernel] = {}
    variables: list[Variable] = []
    version = target = ""
    at = 0
    while True:
        at = _skip_space(text, at)
        if at >= len(text):
            break
        if entry := _ENTRY.match(text, at):
            end = _closing_brace(text, entry.end() - 1)
            body = _Body(text[entry.end() : end], files)
            kernels[entry[1]] = body.kernel(entry[1], _parameters(entry[2] or ""))
            at = end + 1
        elif function := _FUNCTION.match(text, at):
            at = _closing_brace(text, function.end() - 1) + 1 if function[1] == "{" else function.end()
        elif text.startswith(".section", at):
            at = _closing_brace(text, text.index("{", at)) + 1
        elif directive := re.compile(r"\.(version|target|address_size|file)\b([^\n]*)").match(text, at):
            version = directive[2].strip() if directive[1] == "version" else version
            target = directive[2].split(",")[0].strip() if directive[1] == "target" else target
            at = directive.end()
        else:
            end = text.find(";", at)
            statement = text[at : end if end >= 0 else None].strip()
            if end < 0 or not (variable := _variable(statement)):
                raise ParseError(f"expected a variable, a kernel or a directive, got {statement[:80]!r}")
            variables.append(variable)
            at = end + 1
    return Program(target, version, kernels, tuple(variables))


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _closing_brace(text: str, at: int) -> int:
    """Index of the brace that closes the one at `at`."""
    depth = 0
    for brace in re.finditer(r"[{}]", text[at:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return at + brace.start()
    raise ParseError(f"no closing brace for {text[at : at + 60]!r}")


def _parameters(text: str) -> tuple[Parameter, ...]:
    """Parameters with the offsets that a launch's parameter block has: each at its alignment, in order."""
    found: list[Parameter] = []
    offset = 0
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        match = _PARAMETER.match(piece)
        if not match:
            raise ParseError(f"expected a kernel parameter, got {piece!r}")
        size = TYPE_BYTES[match[2]] * int(match[4] or 1)
        align = int(match[1] or TYPE_BYTES[match[2]])
        offset = -(-offset // align) * align
        found.append(Parameter(match[3], offset, size, align))
        offset += size
    return tuple(found)


def _variable(statement: str) -> Variable | None:
    match = _VARIABLE.match(statement)
    if not match:
        return None
    size: int | None = TYPE_BYTES[match["type"]]
    align = int(match["align"] or size or 1)
    for dimension in re.findall(r"\[(\d*)\]", match["dims"]):
        size = size * int(dimension) if size is not None and dimension else None
    data = _initial(match["type"], match["data"]) if match["data"] else b""
    # Device memory without an initialiser is zero; constants list only the bytes up to the last that is not.
    if size is not None and match["space"] in ("global", "const"):
        data = data.ljust(size, b"\0")
    return Variable(match["name"], match["space"], align, size, data)


def _initial(kind: str, text: str) -> bytes:
    out = b""
    for piece in filter(None, re.split(r"[\s,{}]+", text)):
        if re.fullmatch(r"0[fFdD][0-9a-fA-F]+", piece):
            out += int(piece[2:], 16).to_bytes(TYPE_BYTES[kind], "little")
        elif re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", piece):
            bits = 8 * TYPE_BYTES[kind]
            out += (int(piece.rstrip("U"), 0) & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
        elif kind in ("f32", "f64"):
            out += struct.pack("<f" if kind == "f32" else "<d", float(piece))
        else:
            raise ParseError(f"expected a number as initial value, got {piece!r}")
    return out


@dataclass
class _Body:
    """Reads the text between a kernel's braces, statement by statement."""

    text: str
    files: dict[int, str]
    registers: dict[str, str] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    jump_tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    location: Location = field(default_factory=lambda: Location("?", 0))

    def kernel(self, name: str, parameters: tuple[Parameter, ...]) -> Kernel:
        # Each scope maps the names written in it to names unique within the kernel.
        scopes: list[dict[str, str]] = [{}]
        scope_count = 0
        lines: dict[tuple[int, int], Location] = {}
        at = 0
        while (at := _skip_space(self.text, at)) < len(self.text):
            if self.text[at] == "{":
                scope_count += 1
                scopes.append({})
                at += 1
            elif self.text[at] == "}":
                scopes.pop()
                at += 1
            elif loc := _LOC.match(self.text, at):
                self._move_to(loc, lines)
                at = loc.end()
            elif (label := _LABEL.match(self.text, at)) and self.text[label.end() : label.end() + 1] != ":":
                self.labels[label[1]] = len(self.instructions)
                at = label.end()
            else:
                end = self.text.find(";", at)
                if end < 0:
                    raise ParseError(f"expected a statement that ends with ';' in kernel {name}, got {self.text[at : at + 80]!r}")
                self._statement(self.text[at:end].strip(), scopes, scope_count)
                at = end + 1
        return Kernel(name, parameters, self.registers, tuple(self.variables), tuple(self.instructions), self.labels, self.jump_tables)

    def _move_to(self, loc: re.Match[str], lines: dict[tuple[int, int], Location]) -> None:
        file, line = int(loc[1]), int(loc[2])
        if line == 0:
            # Line 0 marks code that the compiler moved: the line before says more.
            return
        inlined = _INLINED.search(loc[3])
        caller = None
        if inlined:
            place = (int(inlined[1]), int(inlined[2]))
            caller = lines.get(place) or Location(self.files.get(place[0], "?"), place[1])
        self.location = Location(self.files.get(file, "?"), line, caller)
        lines[file, line] = self.location

    def _statement(self, text: str, scopes: list[dict[str, str]], scope_count: int) -> None:
        if text.startswith(".reg"):
            self._declare(text, scopes, scope_count)
        elif text.startswith(".branchtargets"):
            label = next(name for name, index in reversed(self.labels.items()) if index == len(self.instructions))
            self.jump_tables[label] = tuple(piece.strip() for piece in text.removeprefix(".branchtargets").split(","))
        elif text.startswith(".pragma") or not text:
            return
        elif variable := _variable(text):
            self.variables.append(variable)
        elif text.startswith("."):
            raise ParseError(f"expected a declaration, got {text[:80]!r}")
        else:
            self._instruction(text, scopes)

    def _declare(self, text: str, scopes: list[dict[str, str]], scope_count: int) -> None:
        match = re.match(r"\.reg\s*\.(\w+)\s+(.*)$", text, re.DOTALL)
        if not match:
            raise ParseError(f"expected a register declaration, got {text[:80]!r}")
        inner = len(scopes) > 1
        for piece in (piece.strip() for piece in match[2].split(",")):
            many = _REG_RANGE.match(piece)
            for name in [f"{many[1]}{i}" for i in range(int(many[2]))] if many else [piece]:
                unique = f"{name}@{scope_count}" if inner else name
                scopes[-1][name] = unique
                self.registers[unique] = match[1]

    def _instruction(self, text: str, scopes: list[dict[str, str]]) -> None:
        text = " ".join(text.split())
        match = _INSTRUCTION.match(text)
        if not match:
            raise ParseError(f"expected an instruction, got {text[:80]!r}")

        def unique(name: str) -> str | None:
            return next((scope[name] for scope in reversed(scopes) if name in scope), None)

        guard = None
        if match[2]:
            name = unique(match[2])
            if name is None:
                raise ParseError(f"undeclared register in {text!r}")
            guard = Register(name, match[1] == "!")
        parts = tuple(piece for piece in re.split(r"[.:]+", match[3]) if piece)
        operands = parse_operands(match[4], unique)
        self.instructions.append(Instruction(parts, operands, guard, self.location, text))
