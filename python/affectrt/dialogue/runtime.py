"""One loaded model and everything that its conversations share: the context, the cache's account, the lock around both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from affectrt._core import CancelFlag
from affectrt.dialogue.cache import PrefixCache, Slot
from affectrt.dialogue.engine import ABORTED, OK, Context, Model, Sampler
from affectrt.dialogue.template import ChatTemplate, Prompt
from affectrt.errors import EngineError


class Runtime:
    """Evaluates tokens for one conversation at a time.

    `lock` is held for one evaluation and never while a caller looks at a piece, so that conversations take turns by the token and
    one that nobody reads stops none.
    """

    def __init__(self, model: Model, context: Context, template: ChatTemplate) -> None:
        self.model = model
        self.context = context
        self.template = template
        self.cache = PrefixCache(context)
        self.lock = threading.RLock()
        self.closed = False
        self.exiting = False
        """True once the interpreter is ending: a reply in a daemon thread then ends as cancelled, without a traceback."""
        self._exit = _free_at_exit(self)

    def prefill(self, slot: Slot, prompt: Prompt, flag: CancelFlag, after_cached: Callable[[int], None]) -> bool:
        """Evaluate what of `prompt` is not in the cache; False if cancelled meanwhile. `after_cached` hears how much was."""
        system = prompt.tokens[: prompt.system_length]
        self.cache.enter(slot, system)
        cached = self.cache.keep_common(slot, prompt.tokens)
        after_cached(cached)
        if cached < len(system):
            # A batch of its own: the numbers of the system message then are the same whoever computed them, and what follows.
            if not self._evaluate(slot, prompt.tokens[cached : len(system)], flag):
                return False
            self.cache.mark_system(slot)
        return self._evaluate(slot, prompt.tokens[len(slot.tokens) :], flag)

    def step(self, slot: Slot, sequence: Sequence[int], flag: CancelFlag) -> bool:
        """Bring the cache up to `sequence`, of which all but the last token were evaluated before; False if cancelled."""
        self.cache.enter(slot)
        if len(slot.tokens) == len(sequence) - 1:
            self.context.watch(flag)
            token = sequence[-1]
            if (code := self.context.decode_one(token)) == OK:
                slot.tokens.append(token)
                return True
            return self._failed(slot, code)
        self.cache.keep_common(slot, sequence)  # the state was dropped to make room for other conversations
        return self._evaluate(slot, sequence[len(slot.tokens) :], flag)

    def sample(self, sampler: Sampler) -> int | None:
        """The next token, from the last evaluated one; None if a grammar lets none through."""
        return sampler.sample(self.context)

    def repair(self, slot: Slot) -> None:
        """After an interruption at an unknown point: make the cache hold what the account says."""
        with self.lock:
            if not self.closed:
                self.cache.enter(slot)
                self.cache.cut(slot, len(slot.tokens))

    def forget(self, slot: Slot) -> None:
        """Let go of what was said in a conversation."""
        with self.lock:
            if not self.closed:
                self.cache.forget(slot)

    def check_open(self) -> None:
        """Refuse to work on a freed context.

        Raises:
            EngineError: `close` was called.
        """
        if self.closed:
            raise EngineError("this Dialogue is closed")

    def close(self) -> None:
        """Free the context and the model's hold on it. A reply that is running ends with an EngineError at its next piece."""
        with self.lock:
            if not self.closed:
                self.closed = True
                self.context.close()
                self._exit()

    def _evaluate(self, slot: Slot, tokens: Sequence[int], flag: CancelFlag) -> bool:
        context = self.context
        context.watch(flag)
        for start in range(0, len(tokens), context.batch_tokens):
            if flag.is_set():
                return False
            batch = tokens[start : start + context.batch_tokens]
            if (code := context.decode(batch)) != OK:
                return self._failed(slot, code)
            slot.tokens.extend(batch)
        return True

    def _failed(self, slot: Slot, code: int) -> bool:
        # After an abort some of the batch may have stayed in the cache: back to what the account says.
        self.cache.cut(slot, len(slot.tokens))
        if code == ABORTED:
            return False
        raise EngineError(f"llama.cpp failed to evaluate a batch (llama_decode returned {code})")


def _free_at_exit(runtime: Runtime) -> Callable[[], object]:
    """Close before the interpreter ends, when no thread is inside: a daemon thread may still be decoding then.

    Returns a function that calls the whole thing off.
    """
    import atexit
    import weakref

    reference = weakref.ref(runtime)

    def at_exit() -> None:
        alive = reference()
        if alive is not None:
            alive.exiting = True
            alive.context.stop()
            alive.close()

    atexit.register(at_exit)
    return lambda: atexit.unregister(at_exit)
