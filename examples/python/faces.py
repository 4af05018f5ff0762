"""Faces of a picture: `python faces.py photo.jpg`."""

import sys

import affectrt
import numpy as np
from PIL import Image

if len(sys.argv) != 2:
    sys.exit("usage: python faces.py PHOTO")
try:
    photo = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
except OSError as error:  # Pillow's own errors are of this kind too
    sys.exit(f"{sys.argv[1]} cannot be read as a picture: {error}")
face = affectrt.Face(color="rgb8")
for f in face(photo):
    print(f"#{f.track_id} {f.label} confidence={f.confidence:.2f} valence={f.valence:+.2f} arousal={f.arousal:+.2f} box={f.box.round()}")
