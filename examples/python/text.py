"""Emotions of sentences, one a line: `echo "I finally passed the exam, I am so happy!" | python text.py`."""

import sys

import affectrt

text = affectrt.TextEmotion()
for line in sys.stdin:
    t = text(line.strip())
    print(f"{t.label:12} {t.confidence:.2f}  valence={t.valence:+.2f} arousal={t.arousal:+.2f}  {', '.join(t.active)}  | {t.text}")
