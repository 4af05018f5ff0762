"""A log of evidence: what a state was made of, so that it can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from affectrt.affect import checks
from affectrt.affect.evidence import Evidence
from affectrt.affect.fusion import Fusion
from affectrt.affect.settings import FusionSettings
from affectrt.affect.state import AffectState

FORMAT, VERSION = "affectrt.affect-log", 1


class AffectLog:
    """Writes evidence into a file as it arrives, one JSON a line under a first line with the settings of the `Fusion` that takes it.

    with AffectLog("today.jsonl", fusion.settings) as log:
        log.write(evidence)

    The same evidence makes the same bytes. No sentence and no picture is in it, but how a person felt is: treat the file as that.
    """

    def __init__(self, path: str | Path, settings: FusionSettings) -> None:
        """Begin a new file. FileExistsError if there is one: a log is never written over."""
        if not isinstance(settings, FusionSettings):
            raise TypeError(f"settings: expected FusionSettings, got {type(settings).__name__}")
        self.path = Path(path)
        self._file = self.path.open("xb", buffering=0)
        self._complete = 0  # bytes of the lines that are whole
        self._line({"format": FORMAT, "version": VERSION, "settings": settings.to_dict()})

    def write(self, evidence: Evidence) -> None:
        """Append a line; it is with the operating system when this returns. OSError leaves the file as it was: a full disk ends no log."""
        if not isinstance(evidence, Evidence):
            raise TypeError(f"expected Evidence, got {type(evidence).__name__}")
        self._line(evidence.to_dict())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> AffectLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _line(self, value: object) -> None:
        line = memoryview(checks.canonical(value).encode() + b"\n")
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._complete)
            self._file.seek(self._complete)
            raise
        self._complete += len(line)


def read_log(path: str | Path) -> tuple[FusionSettings, Iterator[Evidence]]:
    """The settings and the evidence of a log, in the order in which it was written.

    A last line without its end is what a power cut leaves, and is left out.

    Raises:
        ValueError: The file is no such log, or a line of it is damaged (when it is reached); the line is named.
        OSError: It cannot be read.
    """
    lines = _lines(Path(path))
    where = f"{path}: line 1"
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{where}: expected the head of a log of evidence, got the end of the file")
    head = checks.parse(first[1], where)
    checks.header(head, where, FORMAT, VERSION)
    checks.keys(head, where, ("format", "version", "settings"))
    try:
        settings = FusionSettings.from_dict(head["settings"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
    return settings, _evidence(lines, str(path))


def replay(path: str | Path) -> Iterator[AffectState]:
    """The state after each evidence of a log, at the time of the newest so far: the same to the last bit, whenever and wherever.

    Raises:
        ValueError, OSError: As `read_log`; or a stamp of the log jumps back, as `Fusion.add` tells.
    """
    settings, evidence = read_log(path)
    fusion = Fusion(settings)
    for one in evidence:
        fusion.add(one)
        assert fusion.newest_ns is not None
        yield fusion.state(fusion.newest_ns)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(checks.MAX_JSON + 1):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) > checks.MAX_JSON:
                    raise ValueError(f"{path}: line {number}: expected at most {checks.MAX_JSON} bytes")
                return
            yield number, line


def _evidence(lines: Iterator[tuple[int, bytes]], path: str) -> Iterator[Evidence]:
    for number, line in lines:
        what = f"{path}: line {number}"
        try:
            evidence = Evidence.from_dict(checks.parse(line, "evidence"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what}: {error}") from None
        yield evidence
