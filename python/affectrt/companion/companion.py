"""The stages wired together: what the camera sees and what the words tell becomes a state and a memory, and reaches the answer."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from affectrt.affect import Evidence
from affectrt.companion.guarded import GuardedReply
from affectrt.companion.mood import Mood, emotion_of_moment
from affectrt.companion.parts import Parts, ReadsText, SeesFaces
from affectrt.companion.person import Person
from affectrt.companion.prompting import PlansStrategy, Prompting, audited, trace_of
from affectrt.companion.recollection import RecallSettings, Recollection, Remembrance
from affectrt.companion.reply import AsyncCompanionReply, CompanionReply
from affectrt.companion.stages import Stages
from affectrt.companion.state import CompanionState, Impression, Trace
from affectrt.companion.talk import RESUME_S, Talk
from affectrt.dialogue import Conversation, Dialogue
from affectrt.dialogue.conditioning import Stimulus
from affectrt.dialogue.guard import CrisisHook, Decision, Guard
from affectrt.dialogue.persona import Persona, find_persona
from affectrt.dialogue.sampling import Sampling, check_number, check_sampling
from affectrt.dialogue.spoken import Spoken
from affectrt.dialogue.strategy import Planner
from affectrt.dialogue.text import check_text
from affectrt.errors import EngineError
from affectrt.expression import NEUTRAL, answer_to
from affectrt.memory import MemoryStore
from affectrt.memory.items import check_partner
from affectrt.perception import Face, FaceObservation, TextEmotion
from affectrt.perception.face import check_stamp
from affectrt.policy import Policy, check_policy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Companion(Parts):
    """Sees, reads, remembers, answers. `see` may run in a camera's thread while `reply` runs in another.

    It talks with one person at a time, the partner; `meet` says who that is now.
    """

    def __init__(
        self,
        persona: str | Persona = "warm",
        *,
        face: SeesFaces | Literal[False] | None = None,
        text: ReadsText | Literal[False] | None = None,
        dialogue: Dialogue | None = None,
        memory: MemoryStore | str | Path | None = None,
        memory_key: str | bytes | None = None,
        partner: str = "someone",
        recall: RecallSettings | None = None,
        resume_s: float = RESUME_S,
        strategy: PlansStrategy | Literal[False] | None = None,
        stimulus: Stimulus | None = None,
        policy: Policy | None = None,
        on_crisis: CrisisHook | Literal[False] | None = None,
        sampling: Sampling | None = None,
        color: str | None = None,
        stale_after_s: float = 5.0,
        seed: int | None = None,
        threads: int = 0,
    ) -> None:
        """Load what is not given.

        Args:
            persona: "warm", "calm", "cheerful", "plain", your own description of some words, or a Persona.
            face: None loads the default packs; False does without a camera; or a Face of your own.
            text: None loads the default pack; False leaves the words unread; or a TextEmotion of your own.
            dialogue: None loads the default pack; or a Dialogue of your own, which may serve others too.
            memory: File to remember in, over any number of runs: what the partner says, and how they feel. Or a MemoryStore of your own,
                which `close` then leaves open. None: nothing is kept. Needs `affectrt packs pull bge-small-en`.
            memory_key: Encrypts the file; see `MemoryStore`.
            partner: With whom it talks, until `meet` says otherwise. Each partner has a conversation, a state and memories of their own.
            recall: What of the memory comes to mind.
            resume_s: With a memory, go on with the conversation of an earlier run if its last words were said at most so many seconds ago,
                by the wall clock. Each turn is kept as the next one begins, all of it by `close` and `meet`. 0: keep and resume none.
            strategy: Chooses one of the eight ways of support for each answer, and tells the model. None plans by rules; False leaves it to
                the model; or a Planner of your own.
            stimulus: A sentence after the persona, such as `affectrt.dialogue.conditioning.STIMULI["EP09"]`.
            policy: Asked by all that is loaded here, for consent, and for what a label needs to count; says how often the answer begins
                with "I am a machine", and what becomes of claims to feel or to be human. None: nothing of that.
            on_crisis: Called with each phrase of a crisis (harm to oneself or by others, a medical emergency) in the person's words, before
                anything is generated or remembered; its `Decision` is what happens. None answers with a fixed text that sends them to
                people, without the model; False looks for none. See `affectrt.dialogue.guard.Guard`.
            sampling: Instead of the Dialogue's settings; `stop=("\\n\\n",)` in them keeps each answer to a paragraph.
            color: Encoding of the frames, unless `see` is told each time.
            seed: Makes the answers of a Dialogue that is loaded here repeatable.
            threads: For the parts that are loaded here; 0 leaves it to each.
            stale_after_s: What was seen is used for an answer only if its stamp is this close to that of the words.

        Raises:
            PackError, EngineError, DeviceError: A part cannot be loaded.
            StoreError: The memory cannot be opened.
            TypeError, ValueError: An argument is wrong.
            PolicyError: The stimulus is a negative one, and the policy does not allow it.
        """
        check_number("stale_after_s", stale_after_s)
        if not (math.isfinite(stale_after_s) and stale_after_s > 0):
            raise ValueError(f"stale_after_s must be positive and finite, got {stale_after_s}")
        check_number("resume_s", resume_s)
        if not 0 <= resume_s < math.inf:
            raise ValueError(f"resume_s must be 0 or more and finite, got {resume_s}")
        self._resume_s = resume_s
        self.persona = find_persona(persona)
        self._partner = check_partner(partner)
        if memory_key is not None and not isinstance(memory, (str, Path)):
            raise ValueError("memory_key: expected only with memory=FILE; a MemoryStore is opened with a key of its own")
        if not (memory is None or isinstance(memory, (MemoryStore, str, Path))):
            raise TypeError(f"memory: expected a file, a MemoryStore or None, got {type(memory).__name__}")
        if not (recall is None or isinstance(recall, RecallSettings)):
            raise TypeError(f"recall: expected RecallSettings or None, got {type(recall).__name__}")
        self._recall = recall if recall is not None else RecallSettings()
        self.policy = check_policy(policy)
        self._prompting = Prompting(self.persona, stimulus, Planner() if strategy is None else strategy or None, self.policy)
        self._sampling = check_sampling(sampling)
        self._on_crisis = on_crisis
        self._stale_ns = int(stale_after_s * 1e9)
        self._color = color
        self._opened = MemoryStore(memory, key=memory_key, policy=policy) if isinstance(memory, (str, Path)) else None
        self.memory: MemoryStore | None = memory if isinstance(memory, MemoryStore) else self._opened
        self._lock = threading.Lock()  # around what changes; never held while something computes
        self._frame_ns: int | None = None
        self._faces = 0
        self._closed = False
        try:
            if self.memory is not None:
                self.memory.embed([])  # an encoder that was not pulled is missed now, not in the middle of a talk
                self.memory.prepare()
            self.face = (Face(color=color, threads=threads, policy=policy) if face is None else face) or None
            self.text = (TextEmotion(threads=threads, policy=policy) if text is None else text) or None
            self.dialogue = dialogue if dialogue is not None else Dialogue(seed=seed, threads=threads)
            self._people: dict[str, Person] = {}
            self._person = self._of(self._partner)
        except BaseException:
            if self._opened is not None:
                self._opened.close()
            raise

    def _of(self, partner: str) -> Person:
        person = self._people.get(partner)
        if person is None:
            remembrance = Remembrance(self.memory, partner, self._recall) if self.memory is not None else None
            guard = Guard(self.policy, on_crisis=self._on_crisis or None)
            start = functools.partial(self.dialogue.conversation, self._prompting.system, sampling=self._sampling)
            new = Person(partner, start(), Mood(), remembrance, guard)
            if remembrance is not None:
                new.talk = Talk(remembrance, self._resume_s)
                new.mood = remembrance.mood()
                new.talk.resume(new, lambda past: start(turns=past))
            with self._lock:
                person = self._people.setdefault(partner, new)  # another thread may have met them meanwhile
            if person is new and new.talk is not None and new.talk.outdated:  # or forgotten them, when they were not yet among these people
                person.begin_anew()
        return person

    def see(self, frame: Any, stamp_ns: int | None = None, *, color: str | None = None) -> list[FaceObservation]:
        """Look at a frame; returns what Face makes of it.

        A frame older than the last one seen changes nothing, nor does one that was looked at while `meet` changed the partner.

        Args:
            frame: (H, W, C) uint8, as Face takes it.
            stamp_ns: Capture time; None takes now, by the monotonic clock. Use one clock for frames and words.
            color: Encoding of this frame.

        Raises:
            ValueError: There is no camera (`face=False`), or the frame is wrong.
        """
        if self.face is None:
            raise ValueError("this Companion was made with face=False and cannot see")
        stamp, person = check_stamp(stamp_ns), self._person
        faces = self.face(frame, stamp, color=color or self._color)
        largest = max(faces, key=_area, default=None)
        if largest is not None and self._abstains("camera", largest.confidence):
            largest = None
        with self._lock:
            if person is self._person and (self._frame_ns is None or stamp >= self._frame_ns):
                self._frame_ns, self._faces = stamp, len(faces)
                seen = Impression.of(largest, stamp) if largest is not None else None
                if largest is not None and seen is not None:
                    person.seen = seen  # a face turned away for a moment does not wipe out what was seen just before
                    person.mood.add(Evidence.of(replace(largest, stamp_ns=stamp)))
        return faces

    def observe(self, evidence: Evidence) -> None:
        """Take in what another sense says of the partner: a voice, an event (`Evidence.of_event`).

        Raises:
            TypeError: It is no Evidence.
        """
        if not isinstance(evidence, Evidence):
            raise TypeError(f"evidence: expected Evidence, got {type(evidence).__name__}")
        with self._lock:
            self._person.mood.add(evidence)

    def reply(self, text: str, stamp_ns: int | None = None, *, seed: int | None = None, max_tokens: int | None = None) -> CompanionReply:
        """Answer what the person says, in the light of how they look and sound and of what is remembered.

        What they say counts as heard, and with a memory is kept, before the first word of the answer comes. Where the memory's policy
        lacks the partner's consent, they are answered, and nothing is kept or recalled.

        Args:
            text: The person's words.
            stamp_ns: When they were said; None takes now.
            seed, max_tokens: As in `Conversation.reply`.

        Raises:
            TypeError, ValueError, EngineError: As in `Conversation.reply`.
            StoreError: It cannot be remembered; there is no answer then.
        """
        return self._answer(self._person, text, check_stamp(stamp_ns), seed, max_tokens)

    def _answer(self, person: Person, text: str, stamp: int, seed: int | None, max_tokens: int | None) -> CompanionReply:
        check_text(text, "text")
        stages, decision, observation, heard = Stages(), Decision.go(), None, None
        if self._on_crisis is not False:
            with stages("guard"):
                decision = person.guard.before(text, partner=person.name)
        if self.text is not None:
            with stages("text"):
                observation = self.text(text, stamp)
        if observation is not None and self._abstains("text", observation.confidence):
            observation = None
        read = Impression.of(observation, stamp) if observation is not None else None
        with self._lock:
            person.read = read
            # Neutral words do not say that a sorrow is over, as a neutral face does.
            if observation is not None and observation.label != "neutral":
                person.mood.add(Evidence.of(replace(observation, stamp_ns=stamp)))
            state = self._summary(person, stamp)
        if decision.action != "go":
            return CompanionReply(Spoken(decision.text), Trace(None, state, crises=decision.crises, stages_ms=stages.spent_ms))
        if person.remembrance is not None and person.remembrance.allowed:
            with stages("recall"):
                heard = person.remembrance.recall(text, state.affect, person.before_ns())
        with stages("prompt"):
            plan = self._prompting.plan(person, state, text)
            prompt = self._prompting.assemble(text, state, read, heard.layer if heard is not None else None, plan)
        person.settle()
        reply = person.conversation.reply(prompt.words, note=prompt.note, seed=seed, max_tokens=max_tokens)
        if heard is None:
            person.said_ns.pop(len(person.conversation.turns), None)  # that of a cancelled turn, whose number this one has
        else:
            try:
                with stages("remember"):
                    self._keep(person, text, heard, emotion_of_moment(state.affect, observation))
            except BaseException:
                reply.close()
                raise
        if plan is not None:
            person.strategies.append(plan.strategy)
        told = functools.partial(trace_of, prompt, reply, self.dialogue)
        trace = Trace(None, state, heard.hits if heard is not None else (), decision.crises, plan, stages.spent_ms)
        if self.policy is None:
            return CompanionReply(reply, trace, told)
        guarded = GuardedReply(reply, person.conversation, person.guard, person.name, lambda: audited(told()))
        person.answer = weakref.ref(guarded)
        return CompanionReply(guarded, trace, told)

    def _abstains(self, modality: str, confidence: float) -> bool:
        return self.policy is not None and self.policy.abstains(modality, confidence)

    def _keep(self, person: Person, text: str, heard: Recollection, emotion: NDArray[np.float32] | None) -> None:
        assert person.remembrance is not None and self.memory is not None
        person.said_ns[len(person.conversation.turns)] = self.memory.now_ns()
        person.reminded_of.update(hit.memory.partner for hit in heard.hits)
        person.remembrance.keep(text, heard, emotion)
        self._keep_state(person)
        person.keep_talk(cache=False)  # up to the turn before: a robot that is switched off says no goodbye

    def _keep_state(self, person: Person) -> None:
        if person.remembrance is not None:
            with self._lock:
                saved = person.mood.saved()
            person.remembrance.keep_state(saved)

    def areply(
        self, text: str, stamp_ns: int | None = None, *, seed: int | None = None, max_tokens: int | None = None
    ) -> AsyncCompanionReply:
        """`reply` for `async for`; nothing of it runs in the event loop. Errors come at the first piece."""
        person, stamp = self._person, check_stamp(stamp_ns)
        return AsyncCompanionReply(lambda: self._answer(person, text, stamp, seed, max_tokens))

    # ---- partners

    @property
    def partner(self) -> str:
        """With whom it talks."""
        return self._partner

    @property
    def conversation(self) -> Conversation:
        """The one with the partner."""
        return self._person.conversation

    def meet(self, partner: str) -> None:
        """Talk with someone else, or with someone again: their conversation, their state, their memories.

        With a memory the conversation that ends here is kept for the next run, and one of an earlier run resumed (see `resume_s`).

        Raises:
            TypeError, ValueError: It is no name.
            StoreError: The memory cannot be read or written.
        """
        name = check_partner(partner)
        person = self._of(name)
        with self._lock:
            before, self._person, self._partner = self._person, person, name
            self._frame_ns, self._faces = None, 0
        self._keep_state(before)
        before.keep_talk()

    def forget(self, partner: str | None = None) -> int:
        """Erase all that is kept of a partner (None: of the present one): memories, state, conversation. Returns how many memories.

        A conversation with another that was reminded of their memories begins anew too. Of the policy's audit log, if it has one, the
        partner's lines stay, and nobody can tell any more whose they are or what was said (`AuditLog.erase`).

        Raises:
            EngineError: A reply in one of these conversations is still running; nothing of the memory was erased.
            StoreError: See `MemoryStore.erase`.
            AuditError, OSError: The log cannot be erased from; the memory was.
        """
        name = self._partner if partner is None else check_partner(partner)
        reset = []
        for other, person in list(self._people.items()):
            if other == name or name in person.reminded_of:
                person.reset()
                reset.append(person)
            if other == name:
                with self._lock:
                    person.mood, person.seen, person.read = person.mood.anew(), None, None
        erased = self.memory.erase_partner(name) if self.memory is not None else ()
        for person in reset:
            with contextlib.suppress(EngineError):  # who speaks already may be told of what was being erased: that talk is not kept
                person.reset()
                if person.talk is not None:
                    person.talk.begin_anew()
        if self.policy is not None and self.policy.audit is not None:
            self.policy.audit.erase(name, self.policy.clock())
        return len(erased)

    def close(self) -> None:
        """Keep the partner's state and what was said since `meet`, and close the memory that was opened here.

        Dropping a Companion without it loses no memory, but the last turn of the talk, and what was evaluated for it.
        """
        if not self._closed:
            self._closed = True
            try:
                self._keep_state(self._person)
                for person in list(self._people.values()):
                    person.keep_talk()
            finally:
                if self._opened is not None:
                    self._opened.close()

    def __enter__(self) -> Companion:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def state(self) -> CompanionState:
        """How things stand now, by the newest stamp seen or read."""
        with self._lock:
            person = self._person
            stamps = [self._frame_ns, person.read.stamp_ns if person.read else None]
            return self._summary(person, max((s for s in stamps if s is not None), default=0))

    def _summary(self, person: Person, stamp: int) -> CompanionState:
        def fresh(impression: Impression | None) -> Impression | None:
            # Both ways: a stamp far ahead is of another clock, and says nothing about now.
            return impression if impression is not None and abs(stamp - impression.stamp_ns) <= self._stale_ns else None

        seen, read = fresh(person.seen), fresh(person.read)
        # Words tell more than a face about what an answer should meet, unless they are neutral.
        shown = next((i.expression for i in (read, seen) if i is not None and i.expression != "neutral"), None)
        return CompanionState(
            stamp_ns=stamp,
            seen=seen,
            read=read,
            faces=self._faces,
            affect=person.mood.at(stamp),
            expression=answer_to(shown, self.persona.expressiveness) if shown else NEUTRAL,
        )


def _area(face: FaceObservation) -> float:
    x0, y0, x1, y1 = (float(v) for v in face.box)
    return (x1 - x0) * (y1 - y0)
