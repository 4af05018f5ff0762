"""Look at a picture, read a sentence, answer in kind: `python companion.py photo.jpg "I finally passed the exam, I am so happy!"`."""

import sys

import affectrt
import numpy as np
from PIL import Image

bot = affectrt.Companion(persona="warm")
bot.see(np.asarray(Image.open(sys.argv[1]).convert("RGB")), color="rgb8")
for piece in bot.reply(sys.argv[2]):
    print(piece, end="", flush=True)
print()
