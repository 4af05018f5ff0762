"""What was found, in plain words: the sentences at the head of a report, and how numbers are written in it."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from affectrt_export.report.record import NOT_CARRIED, PUBLISHED, REFUSED, REPAIRED, Record, Variant
from affectrt_export.spec import Bounds, Finding

SWITCHED_OFF = "switched off by the user"
UNLABELLED = "not judged: no labelled data was given"
MARK = {PUBLISHED: "good", REPAIRED: "warn", REFUSED: "bad", NOT_CARRIED: ""}
"""How a status is coloured; its word always stands beside the colour."""
_BOUNDS = {
    "parity_max": "parity, largest difference",
    "parity_mean": "parity, mean difference",
    "parity_cosine": "parity, least cosine",
    "accuracy_drop": "accuracy against fp32",
    "class_drop": "F1 of the worst class against fp32",
    "latency_ratio": "median latency over the parent's",
    "size_ratio": "size over the parent's",
}
_NEED_LABELS = ("accuracy_drop", "class_drop")
_LABELLED_TASKS = ("face-expression", "text-emotion", "text-span", "text-pair")
_GATES = {
    "parity": ("parity_max", "parity_mean", "parity_cosine"),
    "accuracy": ("accuracy_drop",),
    "class": ("class_drop",),
    "latency": ("latency_ratio",),
    "size": ("size_ratio",),
    "make": (),
    "run": (),
}
"""Which bounds are whose; a gate that is not here has its own."""
_LISTED = 6


def clean(text: str) -> str:
    """`text` without what no page should hold: control characters, halves of characters, and marks that turn the direction of writing."""
    return "".join(" " if c in "\t\r\n" else "\ufffd" if _unfit(c) else c for c in text)


def _unfit(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"


def number(value: float | None, digits: int = 4) -> str:
    """A figure with so many significant digits, or whole if it has more of them before the point; "-" for none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    rounded = f"{value:.{digits}g}"
    return f"{value:,.0f}" if abs(float(rounded)) >= 10**digits else rounded


def share(value: float | None, digits: int = 3) -> str:
    """A score, a share or a loss, with so many digits after the point; "-" for none."""
    if value is None or not math.isfinite(value):
        return number(value)
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def size(size_bytes: int) -> str:
    """Bytes as people say them, in units of 1000; "-" for none."""
    if size_bytes <= 0:
        return "-"
    for unit, step in (("B", 1.0), ("kB", 1e3), ("MB", 1e6)):
        if size_bytes < 999.5 * step or unit == "MB":
            return f"{number(size_bytes / step, 3)} {unit}"
    raise AssertionError


def ratio(value: float | None) -> str:
    """A ratio as "0.43x"; "-" for none."""
    return "-" if value is None else f"{number(value, 3)}x"


def listed(names: Sequence[str], most: int = _LISTED) -> str:
    """ "a, b and c"; beyond `most` only how many more there are."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def score_name(record: Record) -> str:
    """What the main score of the record's variants is."""
    return "macro-F1" if record.multi_label else "accuracy"


def at_least(finding: Finding) -> bool:
    """Whether a gate's bound is the least that is allowed; for most it is the most."""
    return "cosine" in finding.gate or (finding.gate == "parity" and "cosine" in finding.detail)


def judged(finding: Finding) -> bool:
    """Whether the gate had a bound and something to hold against it. A gate that failed has judged, whatever it found."""
    return not finding.passed or (finding.bound is not None and not math.isnan(finding.value))


def bound(finding: Finding, of: Bounds) -> str:
    """The bound of a gate in a table."""
    if finding.bound is None:
        own = _GATES.get(finding.gate)
        return SWITCHED_OFF if own is None or any(getattr(of, key) is None for key in own) else "none"
    return _limit(finding)


def _limit(finding: Finding) -> str:
    return f"{'at least' if at_least(finding) else 'at most'} {number(finding.bound)}"


def verdict(finding: Finding) -> tuple[str, str]:
    """What a gate said, and its mark."""
    if not judged(finding):
        return "not judged", "warn"
    return ("passed", "good") if finding.passed else ("failed", "bad")


def bounds(record: Record) -> list[tuple[str, str]]:
    """Every bound by its name in words, with what it is."""
    without = _NEED_LABELS if unlabelled(record) else ()
    values = ((said, key, getattr(record.bounds, key)) for key, said in _BOUNDS.items())
    return [(said, number(value) if value is not None else UNLABELLED if key in without else SWITCHED_OFF) for said, key, value in values]


def switched_off(record: Record) -> list[str]:
    """The gates that the user has switched off, in words."""
    return [said for said, value in bounds(record) if value == SWITCHED_OFF]


def unlabelled(record: Record) -> bool:
    """Whether accuracy was not judged since there was no labelled data to judge it by: that is no choice of the user's."""
    off = all(getattr(record.bounds, key) is None for key in _NEED_LABELS)
    return off and record.task in _LABELLED_TASKS and not any(v.quality or v.figures for v in record.variants)


def failure(finding: Finding, record: Record, parent: str = "") -> str:
    """What a gate that failed found, as a part of a sentence; its detail is in the tables. `parent`: name of the variant's parent."""
    value, detail = number(finding.value, 3), clean(finding.detail).strip().rstrip(".")
    limit = "" if finding.bound is None else f" ({_limit(finding)} is allowed)"
    other = f"that of {clean(parent)}" if parent else "its parent's"
    if not math.isfinite(finding.value):
        return detail or f"gate {clean(finding.gate)} found {value}"
    if finding.gate == "class":
        named = _classes_in(detail, record)
        more = f", and {listed(named[1:], 4)} lost too much as well" if len(named) > 1 else ""
        return f"{f'class {named[0]}' if named else 'one class'} lost {value} F1{limit}{more}"
    said = {
        "accuracy": f"{score_name(record)} fell by {value}{limit}",
        "latency": f"its median latency is {value} times {other}{limit}",
        "size": f"its file is {value} times the size of {other.removeprefix('that of ')}{limit}",
        "calibration": f"its expected calibration error is {value}{limit}",
        "parity": f"{detail or 'an output'} is {value}{limit}",
    }
    return said.get(finding.gate) or f"gate {clean(finding.gate)} found {value}{limit}{f': {detail}' if detail else ''}"


def _classes_in(detail: str, record: Record) -> list[str]:
    """The classes that a detail names in quotes, in its order; without quotes the first that it names at all."""
    names = {one.label for v in record.variants if v.quality for one in v.quality.scores.classes} - {""}
    quoted = [name for name in names if repr(name) in detail]
    if quoted:
        return [clean(name) for name in sorted(quoted, key=lambda name: (detail.index(repr(name)), name))]
    found = [(at.start(), -len(name), name) for name in names if (at := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", detail))]
    return [clean(min(found)[2])] if found else []


def opening(record: Record) -> list[tuple[str, str]]:
    """The first lines of a report, each with its mark: what was made, whether everything passed, what was refused or repaired and why."""
    good = [v for v in record.variants if v.published]
    lines = [_summary(record, good)]
    for finding in record.parity:
        if not finding.passed:
            lines.append(("bad", f"The fp32 network does not answer as its source does: {failure(finding, record)}."))
    lines += [("bad", _refused(v, record)) for v in record.variants if v.status == REFUSED]
    lines += [("warn", _repaired(v, record)) for v in record.variants if v.status == REPAIRED]
    if unlabelled(record) and good:
        lines.append(("warn", "Accuracy was not judged: no labelled data was given, and nothing is known of how right the answers are."))
    if off := switched_off(record):
        lines.append(("warn", f"{_sentence(SWITCHED_OFF)}, so not judged: {'; '.join(off)}."))
    return lines


def _summary(record: Record, good: Sequence[Variant]) -> tuple[str, str]:
    name, others = clean(record.name), [v for v in record.variants if v.status == NOT_CARRIED]
    count = len(record.variants) - len(others)
    what = f"{name} ({clean(record.task)})" if record.task else name
    if not count:
        return "bad", f"Nothing was {'published' if others else 'made'} of {what}."
    made = f"{listed([_with_status(v) for v in good])} {'is' if len(good) == 1 else 'are'} published"
    if record.passed:
        mark, head = ("warn", "What was judged passed, accuracy was not judged") if unlabelled(record) else ("good", "Everything passed")
        if count == 1:
            return mark, f"{head}: the one variant of {what}, {_with_status(good[0])}, is published."
        return mark, f"{head}: all {count} variants of {what}: {made}."
    if others and not good:
        return "bad", f"Nothing was published of {what}: {listed([clean(v.name) for v in record.variants if v.status == REFUSED])} failed."
    if not good:
        return "bad", f"Nothing may be published: {'the one variant' if count == 1 else f'all {count} variants'} of {what} failed."
    return "bad", f"Not everything passed: of {count} variants of {what}, {made}."


def _with_status(variant: Variant) -> str:
    return clean(variant.name) + (" (after repair)" if variant.status == REPAIRED else "")


def _refused(variant: Variant, record: Record) -> str:
    failed = [failure(one, record, variant.parent) for one in variant.findings if not one.passed]
    reasons = list(dict.fromkeys(failed)) or ["no gate says why"]
    if variant.sensitivity:
        reasons.append(f"layer {clean(variant.sensitivity[0].name)} is the worst")
    tried = sum(bool(one.kept) for one in variant.repairs)
    tail = f" {tried} {'repair was' if tried == 1 else 'repairs were'} tried, without success." if tried else ""
    return f"{clean(variant.name)} was refused: {'; '.join(reasons)}.{tail}"


def _repaired(variant: Variant, record: Record) -> str:
    kept = [clean(name) for name in variant.kept]
    many = "layer stays" if len(kept) == 1 else "layers stay"
    said = f"{clean(variant.name)} was repaired: {len(kept)} {many} in higher precision ({listed(kept)})"
    if variant.drop is not None:
        said += f"; its {score_name(record)} is {_lost(variant.drop, record)}"
    before = next((one for one in variant.repairs if not one.kept), None)
    failed = [failure(one, record, variant.parent) for one in before.findings if not one.passed] if before else []
    return f"{said}." + (f" Before that, {'; '.join(dict.fromkeys(failed))}." if failed else "")


def _lost(drop: float, record: Record) -> str:
    if not math.isfinite(drop):
        return "not a number"
    text, other = share(abs(drop), 4), f"{clean(record.reference)}'s"
    return f"{text} {'under' if drop > 0 else 'over'} {other}" if float(text) else f"that of {clean(record.reference)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
