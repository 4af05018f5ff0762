"""What becomes of the turns that no longer fit the context: one line, written by the model itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from affectrt._core import CancelFlag
from affectrt.dialogue.cache import Slot
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.reply import Reply, Turn
from affectrt.dialogue.runtime import Runtime
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.template import Message

# What the person said, not the answers, said back from a given beginning: of five ways tried, the one in which a model of 135M
# parameters kept to what was said.
_ASK, _SAY = "Here is what I told you:", "Say it back in one short sentence."
_BEGIN = "You told me that you "
_SEED = 0  # nothing is drawn


def summary_tokens(capacity: int) -> int:
    """The longest summary, in tokens, for a context of `capacity`."""
    return min(64, capacity // 8)


def summarise(runtime: Runtime, earlier: str | None, turns: Sequence[Turn], flag: CancelFlag) -> str | None:
    """One line about `turns` and an earlier summary; None if nothing useful came, or `flag` was set. The same each time.

    Raises:
        EngineError: llama.cpp failed, or the Dialogue was closed.
    """
    capacity, longest = runtime.context.capacity, summary_tokens(runtime.context.capacity)
    lines = [earlier] if earlier else []
    lines += [" ".join(turn.user.split()) for turn in turns]
    while lines:
        prompt = runtime.template.prompt([Message("user", "\n".join([_ASK, *lines, "", _SAY]))])
        if len(prompt.tokens) <= capacity - longest:
            break
        # More than a context of them: the longest lines are cut by half.
        at = max(range(len(lines)), key=lambda i: len(lines[i]))
        lines[at] = lines[at][: len(lines[at]) // 2]
        if len(lines[at]) < 16:
            del lines[at]
    else:
        return None
    one_line = Grammar.gbnf(rf'root ::= "{_BEGIN}" [^\x01-\x20()"] [^\x01-\x1F()"\x7F]{{0,{longest * 4}}}')
    sampling = Sampling(temperature=0.0, repeat_penalty=1.1, max_tokens=longest)
    reply = Reply(
        runtime, Slot(), prompt, sampling=sampling, seed=_SEED, grammar=one_line, flag=flag, lock=threading.RLock(), on_end=lambda _: None
    )
    text = reply.read()
    if reply.stats.finish == "length":  # up to the last whole sentence, if there is one
        text = text[: max(text.rfind(mark) for mark in ".!?") + 1]
    elif reply.stats.finish != "stop":
        return None
    return text.strip() or None
