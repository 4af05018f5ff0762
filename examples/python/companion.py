"""Look at a picture, read a sentence, answer in kind: `python companion.py photo.jpg "I finally passed the exam, I am so happy!"`."""

import sys

import affectrt
import numpy as np
from PIL import Image

if len(sys.argv) != 3:
    sys.exit('usage: python companion.py PHOTO "what you say"')
try:
    photo = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
except OSError as error:  # Pillow's own errors are of this kind too
    sys.exit(f"{sys.argv[1]} cannot be read as a picture: {error}")
bot = affectrt.Companion(persona="warm")
if not bot.see(photo, color="rgb8"):
    print(f"no face in {sys.argv[1]}: the answer goes by the words alone", file=sys.stderr)
for piece in bot.reply(sys.argv[2]):
    print(piece, end="", flush=True)
print()
