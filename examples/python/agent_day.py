"""A day in the life of Tali, a household robot with a dozen rules: `python agent_day.py [day.png]` (the picture needs the extra `plot`).

Tali's rules (agent_day_rules) are in the format of the FAtiMA Toolkit. Each line printed is an event, what it makes Tali feel, its mood,
and what it would like to do most.
"""

import re
import sys
from pathlib import Path

from affectrt.affect.appraisal import Appraisal, Emotion, Settings, action_end, property_change

RULES = Path(__file__).parent / "agent_day_rules"
MINUTE = 60 * 10**9
STEP = 2 * MINUTE

DAY = [  # when, what it is called in the picture, what it is to Tali
    ("07:30", "Ida says good morning", action_end("Ida", "Greet", "Tali")),
    ("08:20", "Tali spills the tea", action_end("Tali", "Spill(Tea)")),
    ("08:50", "Ida comforts Tali", action_end("Ida", "Comfort", "Tali")),
    ("10:00", "battery at 12 %", property_change("Battery(Tali)", 12)),
    ("10:30", "Tali recharges", action_end("Tali", "Recharge")),
    ("11:15", "Ida coughs badly", action_end("Ida", "Cough")),
    ("12:00", "Ben visits Ida", action_end("Ben", "Visit", "Ida")),
    ("12:40", "Ben calls Tali a toaster", action_end("Ben", "Insult", "Tali")),
    ("13:10", "Ben breaks a vase", action_end("Ben", "Break(Vase)")),
    ("14:00", "Ben says sorry", action_end("Ben", "Apologise", "Tali")),
    ("15:00", "doctor: all is well", action_end("Doctor", "Say(AllIsWell)", "Ida")),
    ("16:15", "Tali wins at chess", action_end("Tali", "WinAgainst", "Ida")),
    ("17:00", "Rex the vacuum falls", action_end("Rex", "Fall")),
    ("18:30", "Tali cooks dinner", action_end("Tali", "Cook(Soup)", "Ida")),
    ("20:00", "Ida sings", action_end("Ida", "Sing")),
    ("21:15", "Ida falls", action_end("Ida", "Fall")),
]
BEGIN, END = "07:00", "23:00"
COLORS = {1: "#1f8a7d", -1: "#c8384f"}


def stamp(clock: str) -> int:
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE


def words(action: str) -> str:
    """CallDoctor: call doctor."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", action).lower()


def live(tali: Appraisal) -> list[tuple[int, float, tuple[Emotion, ...], str]]:
    """The day in steps: time, mood, emotions, and the first wish. What happens is printed."""
    steps, events = [], [(stamp(clock), name, event) for clock, name, event in DAY]
    for now in range(stamp(BEGIN), stamp(END) + 1, STEP):
        while events and events[0][0] <= now:
            at, name, event = events.pop(0)
            felt = [f"{e.type} {e.intensity:.1f}{f' at {e.target}' if e.target else ''}" for e in tali.appraise(event, stamp_ns=at)]
            wish = tali.decide(at)[0]
            doing = words(wish.action) if wish.target == "-" else f"{words(wish.action)} {wish.target}"
            print(f"{DAY[-len(events) - 1][0]}  {name:25} {', '.join(felt) or '-':40} mood {tali.mood(at):+.1f}  {doing}")
        steps.append((now, tali.mood(now), tali.emotions(now), words(tali.decide(now)[0].action)))
    return steps


def draw(steps: list[tuple[int, float, tuple[Emotion, ...], str]], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    hours = [now / MINUTE / 60 for now, *_ in steps]
    figure, (feelings, wishes) = plt.subplots(
        2, 1, figsize=(11, 6), sharex=True, height_ratios=(6, 1), gridspec_kw={"hspace": 0.08}, layout="constrained"
    )
    seen = {(e.cause, e.type, e.target): e for _, _, felt, _ in steps for e in felt}
    labels: dict[tuple[int, int], list[tuple[float, str]]] = {}
    for key, emotion in seen.items():
        curve = [next((e.intensity for e in felt if (e.cause, e.type, e.target) == key), 0.0) for _, _, felt, _ in steps]
        color = COLORS[emotion.valence]
        feelings.fill_between(hours, [emotion.valence * i for i in curve], color=color, alpha=0.28, linewidth=0)
        feelings.plot(hours, [emotion.valence * i if i else float("nan") for i in curve], color=color, linewidth=0.9)
        peak = max(range(len(curve)), key=curve.__getitem__)
        labels.setdefault((peak, emotion.valence), []).append((curve[peak], emotion.type))
    for index, ((at, sign), kinds) in enumerate(sorted(labels.items())):  # what one event arouses shares a label, strongest first
        kinds.sort(reverse=True)
        text = ", ".join(kind for _, kind in kinds)
        place = (hours[at], sign * kinds[0][0])
        feelings.annotate(
            text,
            place,
            (3, sign * (3 + 10 * (index % 2))),
            textcoords="offset points",
            fontsize=8.5,
            color=COLORS[sign],
            va="bottom" if sign > 0 else "top",
        )
    feelings.plot(hours, [mood for _, mood, *_ in steps], color="#22223b", linewidth=2, label="mood")
    for clock, name, _ in DAY:
        hour = stamp(clock) / MINUTE / 60
        feelings.axvline(hour, color="#9a9aa8", linewidth=0.6, linestyle=":", zorder=0)
        feelings.text(hour, 9.8, name, rotation=38, fontsize=8, color="#4a4e69", ha="left", va="bottom", rotation_mode="anchor")
    feelings.axhline(0, color="#9a9aa8", linewidth=0.8)
    feelings.set(ylim=(-6.5, 9.5), yticks=(-5, 0, 5), ylabel="unpleasant   intensity   pleasant", xlim=(hours[0], hours[-1]))
    feelings.legend(loc="lower right", frameon=False)

    palette = dict(zip(dict.fromkeys(wish for *_, wish in steps), plt.get_cmap("Set2").colors, strict=False))
    begin = 0
    for i in range(1, len(steps) + 1):
        if i == len(steps) or steps[i][3] != steps[begin][3]:
            left, right, wish = hours[begin], hours[min(i, len(steps) - 1)], steps[begin][3]
            wishes.axvspan(left, right, color=palette[wish], linewidth=0)
            narrow = right - left < 0.13 * len(wish)
            if right - left > 0.2:
                wishes.text((left + right) / 2, 0.5, wish, ha="center", va="center", fontsize=8, rotation=90 if narrow else 0)
            begin = i
    wishes.set(ylim=(0, 1), yticks=[], xticks=range(7, 24), xticklabels=[f"{h}:00" for h in range(7, 24)])
    wishes.set_ylabel("wants to", rotation=0, ha="right", va="center")
    for axes in (feelings, wishes):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    day = live(Appraisal.load(RULES / "tali.rpc", RULES / "home.wmo", settings=Settings(tick_s=120)))
    if len(sys.argv) > 1:
        draw(day, sys.argv[1])
