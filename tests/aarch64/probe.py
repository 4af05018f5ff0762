"""Runs the face pipeline and text emotion on fixed real inputs and saves what came out: `python probe.py OUT.npz`.

Run once on this machine and once on another processor; compare.py sets the two side by side. The pictures are the golden photographs
that travel in the default packs.
"""

from __future__ import annotations

import platform
import sys

import affectrt
import numpy as np
from affectrt.packs import DEFAULTS

SENTENCES = [
    "I finally passed the exam!",
    "My dog died last night and I can't stop crying.",
    "Why would you do this to me? I'm furious.",
    "Thank you so much, that means the world to me.",
    "The meeting is at three in room twelve.",
    "Ich weiß nicht, was ich davon halten soll.",
    "wait... what?? 😮",
    "I'm scared of what the doctor will say tomorrow, but I'm trying to stay hopeful.",
]


# The default network of expressions is quantised, so the whole way from frame to probability is also walked with one that is not.
EXPRESSIONS = {"int8": DEFAULTS["face-expression"], "fp32": "xception-fer7"}


def faces(out: dict[str, np.ndarray]) -> None:
    pack = affectrt.open_pack(DEFAULTS["face-detection"])
    for precision, expression in EXPRESSIONS.items():
        face = affectrt.Face(expression=expression, landmarks=True, blendshapes=True, device="cpu")
        for golden in pack.manifest["golden"]:
            frame = np.load(pack.file(golden["input"]["image"]), allow_pickle=False)
            face.reset()
            found = face(frame, color=golden["input"]["color"])
            name = f"face.{golden['name']}"
            out[f"{name}.count"] = np.array([len(found)])
            if not found:
                continue
            out[f"{name}.{precision}.raw_probs"] = np.stack([f.raw_probs for f in found])
            for field in ("box", "key_points", "landmarks"):
                out[f"{name}.{field}"] = np.stack([getattr(f, field) for f in found])
            out[f"{name}.blendshapes"] = np.array([list((f.blendshapes or {}).values()) for f in found], np.float32)


def sentences(out: dict[str, np.ndarray]) -> None:
    for variant in affectrt.open_pack(DEFAULTS["text-emotion"]).manifest["variants"]:
        text = affectrt.TextEmotion(device="cpu", precision=variant["precision"])
        out[f"text.{variant['precision']}.probs"] = np.stack([text(s).probs for s in SENTENCES])


def main() -> None:
    out: dict[str, np.ndarray] = {"machine": np.array(platform.machine())}
    faces(out)
    sentences(out)
    np.savez(sys.argv[1], **out)


if __name__ == "__main__":
    main()
