"""What the agent feels: active emotions and a mood, both of which fade.

With the settings' default numbers, intensity I, decay factor d of the emotion's disposition, t ticks later:

    potential' = max(0, potential + valence 0.3 mood)         felt only if potential' > threshold
    intensity  = min(10, potential' - threshold)
    mood       = mood + valence 0.3 intensity                 in [-10, 10], 0 where it is below 0.5
    I(t)       = I exp(ln(0.5) / 15 d t)                      gone at 0.1 and below
    mood(t)    = mood exp(ln(0.5) / 60 t)                     0 where it is below 0.5

An emotion of potential 0 is not felt, whatever the mood (the toolkit's code can make a Hope out of "nothing has changed" in a good mood).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from affectrt.affect.appraisal.derive import Appraised
from affectrt.affect.appraisal.events import PROPERTY_CHANGE
from affectrt.affect.appraisal.names import Name
from affectrt.affect.appraisal.occ import OCC

MAX_INTENSITY = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The constants of the model. ValueError names every one that is out of its range."""

    tick_s: float = 1.0
    """Seconds of one tick, the unit of the half-lives; > 0."""
    emotion_half_life: float = 15.0
    """Ticks until an emotion of decay 1 has half its intensity; > 0."""
    mood_half_life: float = 60.0
    """Ticks; > 0."""
    half_life_base: float = 0.5
    """What is left after a half-life, in (0, 1)."""
    emotion_to_mood: float = 0.3
    """In [0, 1]."""
    mood_to_emotion: float = 0.3
    """In [0, 1]."""
    neutral_mood: float = 0.5
    """Moods below this size are 0; in [0, 10]."""
    forget_at: float = 0.1
    """Emotions of this intensity and below are over; in [0, 10]."""
    goal_value: str = "change"
    """What a rule's "Goal Success Probability" holds: the "change" of a goal's likelihood or the new "likelihood"."""
    remember_events: int = 1000
    """How many events the meta-beliefs EventId, LastEventId and EventElapsedTime can look back on; >= 0."""

    def __post_init__(self) -> None:
        problems = []
        for name, low, high in (
            ("tick_s", 0, math.inf),
            ("emotion_half_life", 0, math.inf),
            ("mood_half_life", 0, math.inf),
            ("half_life_base", 0, 1),
        ):
            value = getattr(self, name)
            if not (_is_number(value) and low < value < high):
                problems.append(f"{name}: expected a number in ({low}, {high}), got {value!r}")
        for name, high in (("emotion_to_mood", 1), ("mood_to_emotion", 1), ("neutral_mood", 10), ("forget_at", 10)):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value <= high):
                problems.append(f"{name}: expected a number in [0, {high}], got {value!r}")
        if self.goal_value not in ("change", "likelihood"):
            problems.append(f'goal_value: expected "change" or "likelihood", got {self.goal_value!r}')
        if not isinstance(self.remember_events, int) or isinstance(self.remember_events, bool) or self.remember_events < 0:
            problems.append(f"remember_events: expected an integer >= 0, got {self.remember_events!r}")
        if problems:
            raise ValueError("; ".join(problems))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Disposition:
    """How easily an emotion is felt and how fast it fades."""

    threshold: float = 1.0
    """In [0, 10]: taken off each potential."""
    decay: float = 1.0
    """In [0, 10]: 0 never fades, 2 fades twice as fast as 1."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (_is_number(value) and 0 <= value <= 10):
                raise ValueError(f"expected a {field.name} in [0, 10], got {value!r}")


@dataclass(frozen=True, slots=True)
class Emotion:
    """An emotion that is felt."""

    type: str
    """One of the 22 names of `OCC`."""
    intensity: float
    """In (0, 10], at the time that was asked for."""
    target: str
    """Whom it is directed at ("SELF" is the agent itself), or ""."""
    goal: str
    """The goal it is about, or ""."""
    event: str
    """What caused it, as a well-formed name."""
    cause: int
    """The number of that event; they count from 0."""
    about: str
    """"#" and that number, or the property if the event is a property's change: a later emotion about the same takes its place."""
    stamp_ns: int
    """When it arose."""
    threshold: float
    decay: float

    @property
    def valence(self) -> int:
        """1 or -1."""
        return OCC[self.type].valence

    @property
    def potential(self) -> float:
        """Intensity plus threshold."""
        return self.intensity + self.threshold


def faded(emotion: Emotion, stamp_ns: int, settings: Settings) -> Emotion:
    """A newly arisen emotion as it is at a later time."""
    ticks = (stamp_ns - emotion.stamp_ns) / (settings.tick_s * 1e9)
    rate = math.log(settings.half_life_base) / settings.emotion_half_life
    return replace(emotion, intensity=emotion.intensity * math.exp(rate * emotion.decay * ticks))


def reinforced(current: float, potential: float) -> float:
    """The potential of an active emotion that is aroused again: ln(e^current + e^potential)."""
    low, high = sorted((current, potential))
    return high + math.log1p(math.exp(low - high))


@dataclass(frozen=True, slots=True)
class EmotionalState:
    """Active emotions and mood; a value, so each change makes a new one."""

    pool: tuple[Emotion, ...] = ()
    """As they were when they arose, oldest first."""
    mood_value: float = 0.0
    mood_stamp_ns: int = 0

    def mood(self, stamp_ns: int, settings: Settings) -> float:
        """In [-10, 10]."""
        ticks = (stamp_ns - self.mood_stamp_ns) / (settings.tick_s * 1e9)
        return _settled(self.mood_value * math.exp(math.log(settings.half_life_base) / settings.mood_half_life * ticks), settings)

    def emotions(self, stamp_ns: int, settings: Settings) -> tuple[Emotion, ...]:
        """Those still felt, strongest first; of equals the one that arose first."""
        now = [faded(emotion, stamp_ns, settings) for emotion in self.pool]
        return tuple(sorted((e for e in now if e.intensity > settings.forget_at), key=lambda e: -e.intensity))

    def forget(self, stamp_ns: int, settings: Settings) -> EmotionalState:
        """Without what is over."""
        return replace(self, pool=tuple(e for e in self.pool if faded(e, stamp_ns, settings).intensity > settings.forget_at))

    def feel(
        self, appraised: Appraised, disposition: Disposition, event: Name, cause: int, stamp_ns: int, settings: Settings
    ) -> tuple[EmotionalState, Emotion | None]:
        """The state with one more emotion, and the emotion if it is strong enough to be felt.

        What the same event has aroused before takes the place of that, and leaves the mood alone. A property that changes again, and
        arouses the same emotion again, reinforces it (`reinforced`); another emotion about that property takes its place. The code of the
        toolkit has the formula of reinforcement, but replaces in both cases.
        """
        target, kind, about = str(appraised.target or ""), appraised.type, _about(event, cause)
        rest, reappraisal, potential = [], False, appraised.potential
        mood = self.mood(stamp_ns, settings)
        if potential > 0:
            potential = max(0.0, potential + kind.valence * mood * settings.mood_to_emotion)
        for old in self.pool:
            if (old.about, old.target, old.goal, OCC[old.type].family) != (about, target, appraised.goal, kind.family):
                rest.append(old)
            elif old.cause == cause:
                reappraisal = True
            elif old.type == kind.name and potential > 0:
                now = faded(old, stamp_ns, settings)
                if now.intensity > settings.forget_at:
                    potential = reinforced(now.potential, potential)
        if potential <= disposition.threshold:
            return replace(self, pool=tuple(rest)), None
        intensity = min(MAX_INTENSITY, potential - disposition.threshold)
        emotion = Emotion(
            type=kind.name,
            intensity=intensity,
            target=target,
            goal=appraised.goal,
            event=str(event),
            cause=cause,
            about=about,
            stamp_ns=stamp_ns,
            threshold=disposition.threshold,
            decay=disposition.decay,
        )
        state = replace(self, pool=(*rest, emotion))
        if kind.influences_mood and not reappraisal:
            mood = _settled(mood + kind.valence * intensity * settings.emotion_to_mood, settings)
            state = replace(state, mood_value=mood, mood_stamp_ns=stamp_ns)
        return state, emotion


def _settled(mood: float, settings: Settings) -> float:
    mood = min(10.0, max(-10.0, mood))
    return 0.0 if abs(mood) < settings.neutral_mood else mood


def _about(event: Name, cause: int) -> str:
    changed = len(event.terms) == 4 and event.terms[0] == PROPERTY_CHANGE
    return str(event.terms[2]).casefold() if changed else f"#{cause}"


def strongest(emotions: Iterable[Emotion]) -> Emotion | None:
    """The first of those that are strongest, or None."""
    return max(emotions, key=lambda e: e.intensity, default=None)
