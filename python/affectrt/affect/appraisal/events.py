"""Events: what happened, who did it, what it was, and to whom.

Event(Action-End, Ana, Praise, SELF)             Ana has praised the agent
Event(Action-Start, SELF, Fetch(Cup), Ana)       the agent begins to fetch a cup for Ana
Event(Property-Change, SELF, Battery(SELF), 12)  something is known to have changed
"""

from __future__ import annotations

from affectrt.affect.appraisal.names import NIL, Name, as_name

EVENT = Name("Event")
ACTION_START = Name("Action-Start")
ACTION_END = Name("Action-End")
PROPERTY_CHANGE = Name("Property-Change")
KINDS = (ACTION_START, ACTION_END, PROPERTY_CHANGE)


def action_end(subject: str | Name, action: str | Name, target: str | Name = NIL) -> Name:
    """`subject` has done `action` to `target`."""
    return Name("Event", (ACTION_END, as_name(subject), as_name(action), as_name(target)))


def action_start(subject: str | Name, action: str | Name, target: str | Name = NIL) -> Name:
    """`subject` begins `action`."""
    return Name("Event", (ACTION_START, as_name(subject), as_name(action), as_name(target)))


def property_change(name: str | Name, value: str | Name | float, subject: str | Name = "SELF") -> Name:
    """A belief has a new value, or none any more (`-`)."""
    new = as_name(str(value) if isinstance(value, bool | int | float) else value)
    return Name("Event", (PROPERTY_CHANGE, as_name(subject), as_name(name), new))


def check_event(event: Name) -> Name:
    """The event itself. Raises ValueError if it is none, or leaves open what happened."""
    if event.head != EVENT or len(event.terms) != 4:
        raise ValueError(f"expected an event, Event(kind, subject, action, target), got {event}")
    kind, subject, action, target = event.terms
    if kind not in KINDS:
        raise ValueError(f"expected Action-Start, Action-End or Property-Change as kind of event, got {kind} in {event}")
    if not event.is_constant:
        raise ValueError(f"an event says what happened, so it holds neither variables nor *, got {event}")
    if subject.terms:
        raise ValueError(f"expected a symbol as subject, got {subject} in {event}")
    if kind == PROPERTY_CHANGE and not action.terms:
        raise ValueError(f"expected a property such as Battery(SELF), got {action} in {event}")
    if kind != PROPERTY_CHANGE and target.terms:
        raise ValueError(f"expected a symbol as target, got {target} in {event}")
    return event
