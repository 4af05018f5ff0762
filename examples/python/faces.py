"""Faces of a picture: `python faces.py photo.jpg`."""

import sys

import affectrt
import numpy as np
from PIL import Image

face = affectrt.Face(color="rgb8")
for f in face(np.asarray(Image.open(sys.argv[1]).convert("RGB"))):
    print(f"#{f.track_id} {f.label} confidence={f.confidence:.2f} valence={f.valence:+.2f} arousal={f.arousal:+.2f} box={f.box.round()}")
