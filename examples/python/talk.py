"""A companion that remembers whom it talks with: `python talk.py robot.db anna`, then a line at a time; Ctrl-D leaves."""

import sys

import affectrt

if len(sys.argv) != 3:
    sys.exit("usage: python talk.py MEMORY WHO, such as: python talk.py robot.db anna")
with affectrt.Companion(face=False, memory=sys.argv[1], partner=sys.argv[2]) as bot:  # once: affectrt packs pull bge-small-en
    for line in filter(str.strip, sys.stdin):
        reply = bot.reply(line)
        for piece in reply:
            print(piece, end="", flush=True)
        how = reply.trace.plan.strategy if reply.trace.plan else "the guard"  # which answers words of a crisis
        print(f"\n  ({bot.state.label}, {how}, remembers {len(reply.trace.memories)})", file=sys.stderr)
