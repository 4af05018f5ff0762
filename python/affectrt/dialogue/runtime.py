"""One loaded model and everything that its conversations share: the context, the cache's account, the lock around both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from affectrt._core import CancelFlag
from affectrt.dialogue.cache import PrefixCache, Slot
from affectrt.dialogue.engine import ABORTED, OK, Context, Model, Sampler
from affectrt.dialogue.template import ChatTemplate, Prompt
from affectrt.dialogue.turns import Turns
from affectrt.errors import EngineError


class Runtime:
    """Evaluates tokens for one conversation at a time.

    `lock` is held for one token, or a few dozen of a prompt, and never while a caller looks at a piece, so that conversations take turns
    and one that nobody reads stops none. It goes to whoever has waited longest.
    """

    def __init__(self, model: Model, context: Context, template: ChatTemplate) -> None:
        self.model = model
        self.context = context
        self.template = template
        self.cache = PrefixCache(context)
        self.lock = Turns()
        self.closed = False
        self.exiting = False
        """True once the interpreter is ending: a reply in a daemon thread then ends as cancelled, without a traceback."""
        self._exit = _free_at_exit(self)

    def find(self, slot: Slot, prompt: Prompt) -> int:
        """Bring into the context what the cache has of `prompt`; returns how many tokens that is."""
        self.cache.enter(slot, prompt.tokens[: prompt.system_length])
        return self.cache.keep_common(slot, prompt.tokens)

    def prefill(self, slot: Slot, prompt: Prompt, flag: CancelFlag) -> bool | None:
        """Evaluate the next batch of what is missing of `prompt`: True once all is there, None if there is more, False if cancelled.

        The batches are the same whether others wait or not: their size changes the last bits of the numbers, and a seed is to repeat a
        reply. The system message has its own, so that what it computes is the same whoever computed it.
        """
        done = self.find(slot, prompt)
        end = prompt.system_length if done < prompt.system_length else len(prompt.tokens)
        if not self._evaluate(slot, prompt.tokens[done : min(end, done + self.context.batch_tokens)], flag):
            return False
        if len(slot.tokens) == prompt.system_length:
            self.cache.mark_system(slot)
        return True if len(slot.tokens) == len(prompt.tokens) else None

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
