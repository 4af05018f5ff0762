"""Who consented to what: records that are added and never changed, and the question whether one of them covers a use.
 A consent names one modality, the purposes it was given for, who gave it, and when it runs out. With a partner it is that person's own;
without one it is a general consent for whoever is there (a household that agreed, visitors who passed a sign). A person's own withdrawal
always beats a general consent.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from affectrt.policy.checks import check_partner, check_time, check_words, one_of

MODALITIES = ("camera", "microphone", "text", "memory")
"""What consent can be asked for: looking, listening, reading what is typed or transcribed, keeping."""

GIVERS = ("self", "guardian", "deployer")
"""Who may give a consent: the person, who answers for the person by law, or who runs the device (only for whoever is there)."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Consent:
    """One act: a consent that was given, or withdrawn.

    Raises:
        TypeError, ValueError: A field is wrong; the text names it.
    """

    modality: str
    """One of `MODALITIES`."""
    given_ns: int
    """When, in nanoseconds since 1970."""
    purposes: tuple[str, ...] = ("companion",)
    """What for; a consent covers no purpose that is not named here. A withdrawal covers all purposes, whatever stands here."""
    partner: str | None = None
    """Whose; None is whoever is there."""
    expires_ns: int | None = None
    """From when on it no longer counts; None is never."""
    given_by: str = "self"
    """One of `GIVERS`."""
    withdrawn: bool = False
    """True if this act takes back what was given before."""

    def __post_init__(self) -> None:
        one_of("modality", self.modality, MODALITIES)
        check_time("given_ns", self.given_ns)
        check_partner(self.partner)
        one_of("given_by", self.given_by, GIVERS)
        if not isinstance(self.withdrawn, bool):
            raise TypeError(f"withdrawn: expected a bool, got {type(self.withdrawn).__name__}")
        if isinstance(self.purposes, str) or not isinstance(self.purposes, tuple) or not self.purposes:
            raise ValueError(f"purposes: expected a tuple of at least one purpose, got {self.purposes!r}")
        for purpose in self.purposes:
            check_words("purposes", purpose, 1)
        if self.partner is not None and self.given_by == "deployer" and not self.withdrawn:
            raise ValueError(f"given_by: who runs the device cannot consent for {self.partner!r}; expected self or guardian")
        if self.expires_ns is not None and check_time("expires_ns", self.expires_ns) <= self.given_ns:
            raise ValueError(f"expires_ns: expected a time after given_ns ({self.given_ns}), got {self.expires_ns}")

    def covers(self, purpose: str, now_ns: int) -> bool:
        """Whether this act, taken alone, allows `purpose` at `now_ns`."""
        return not self.withdrawn and purpose in self.purposes and (self.expires_ns is None or now_ns < self.expires_ns)


Verdict = Literal["given", "never asked", "withdrawn", "expired", "other purpose", "not by a guardian"]


class ConsentBook:
    """The acts in the order in which they came. May be used from several threads.

    The order of arrival decides, not the clock: a withdrawal counts even where the device's clock has jumped back.
    """

    def __init__(self, acts: Iterable[Consent] = ()) -> None:
        """Take up earlier acts, oldest first."""
        self._lock = threading.Lock()
        self._acts: list[Consent] = []
        self._last: dict[tuple[str | None, str], Consent] = {}
        for act in acts:
            self.add(act)

    def add(self, act: Consent) -> None:
        """Add an act.

        A later consent for other purposes replaces the earlier one: what a person was asked last is what they agreed to.
        """
        if not isinstance(act, Consent):
            raise TypeError(f"act: expected a Consent, got {type(act).__name__}")
        with self._lock:
            self._acts.append(act)
            self._last[act.partner, act.modality] = act

    @property
    def acts(self) -> tuple[Consent, ...]:
        """All of them, oldest first."""
        with self._lock:
            return tuple(self._acts)

    def verdict(
        self, modality: str, partner: str | None, purpose: str, now_ns: int, *, own: bool = False, guardian: bool = False
    ) -> Verdict:
        """Why `modality` may or may not be used for `purpose`.

        Args:
            modality: One of `MODALITIES`.
            partner: Who it is about; None is whoever is there.
            purpose: What for.
            now_ns: The time, in nanoseconds since 1970.
            own: A named partner needs a consent of their own; a general one does not do.
            guardian: Only a guardian's consent counts.
        """
        with self._lock:
            personal = self._last.get((partner, modality)) if partner is not None else None
            general = None if personal is not None or (own and partner is not None) else self._last.get((None, modality))
        act = personal or general
        if act is None:
            return "never asked"
        if act.withdrawn:
            return "withdrawn"
        if guardian and act.given_by != "guardian":
            return "not by a guardian"
        if act.covers(purpose, now_ns):
            return "given"
        return "other purpose" if purpose not in act.purposes else "expired"

    def forget(self, partner: str) -> int:
        """Remove every act of a partner, as erasing them asks; returns how many. A withdrawal is removed too: nobody is known by that
        name then."""
        with self._lock:
            before = len(self._acts)
            self._acts = [act for act in self._acts if act.partner != partner]
            self._last = {key: act for key, act in self._last.items() if key[0] != partner}
            return before - len(self._acts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the acts as JSON, whole or not at all, readable by the owner alone."""
        target = Path(path)
        work = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        text = json.dumps({"version": _VERSION, "acts": [asdict(act) for act in self.acts]}, indent=1)
        try:
            handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            work.replace(target)
        finally:
            work.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConsentBook:
        """Read what `save` wrote. A missing file is a FileNotFoundError, never an empty book: a lost withdrawal must not go unnoticed.

        Raises:
            ValueError: Not such a file, or of a newer version; the text names the act.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="ascii"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path}: expected a consent book (JSON), got {error}") from None
        if not isinstance(data, dict) or set(data) != {"version", "acts"} or not isinstance(data["acts"], list):
            raise ValueError(f"{path}: expected an object of version and acts")
        if data["version"] != _VERSION or isinstance(data["version"], bool):
            raise ValueError(f"{path}: expected version {_VERSION}, got {data['version']!r}")
        return cls(_read_act(f"{path}: act {number}", act) for number, act in enumerate(data["acts"], 1))


def _read_act(where: str, act: Any) -> Consent:
    names = {field.name for field in fields(Consent)}
    if not isinstance(act, dict) or set(act) != names:
        raise ValueError(f"{where}: expected an object of {', '.join(sorted(names))}")
    purposes = act["purposes"]
    try:
        return Consent(**{**act, "purposes": tuple(purposes) if isinstance(purposes, list) else purposes})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
