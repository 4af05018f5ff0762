"""Recall by meaning and by feeling, and the links between memories."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrt import _core
from affectrt.errors import StoreError
from affectrt.memory import rows
from affectrt.memory.index import VectorIndex
from affectrt.memory.items import (
    KINDS,
    EmotionLike,
    Hit,
    Memory,
    Recall,
    check_emotion,
    check_ids,
    check_k,
    check_kinds,
    check_partner,
    check_time,
    check_words,
)
from affectrt.memory.remembering import Remembering

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

COMBINATIONS = ("semantic", "emotional", "C-A", "C-M", "S-C", "S-S")

Judge = Callable[[Memory, Memory], bool]
"""Whether two memories belong together: in EMMA a language model's answer."""

CODES_FROM = 5000
"""Rows from which the search goes over 8-bit codes first: the result is the same, and sooner there."""

_BATCH = 64


class Recalling(Remembering):
    """See `MemoryStore`."""

    def recall(
        self,
        query: str | NDArray[np.float32] | None = None,
        *,
        partner: str | None,
        emotion: EmotionLike | None = None,
        combination: str = "C-A",
        k: int = 10,
        candidates: int = 20,
        kinds: Iterable[str] = KINDS,
        before_ns: int | None = None,
        archived: bool = False,
        strengthen: bool = False,
        now_ns: int | None = None,
    ) -> Recall:
        """The memories nearest to what is said and felt now (Emotional RAG, L. Huang et al., ICKG 2024, arXiv 2410.23041).

        d_sem is the Euclidean distance of the semantic vectors, d_emo the cosine distance of the emotion vectors. Combinations:
        "semantic" ranks by d_sem, "emotional" by d_emo, "C-A" by d_sem + d_emo, "C-M" by d_sem * d_emo; "S-C" takes the `candidates`
        nearest by d_sem and ranks those by d_emo, "S-S" the other way round. Exact, and the older memory first where two are equally near.

        What is not known is never guessed. A memory of unknown emotion lies at d_emo = 1, the farthest there is. With an unknown emotion
        of the query (None, all zeros) the ranking is "semantic"; with no words, or words that the encoder cannot read, it is
        "emotional"; with neither, nothing is recalled; `Recall.combination` and `reason` say so. A memory whose words the encoder could not
        read is found by "emotional" alone.

        Args:
            query: Words, or their vector (D,), or None.
            partner: Whose turn it is: their memories are searched, and those of others as far as the store's `sharing` allows. None
                searches everyone's: for the owner's tools, never for an answer to a person.
            emotion: Of the moment.
            combination, k, candidates: As above.
            kinds: Look among these.
            before_ns: Look among what is older than this (the present conversation need not remind of itself).
            archived: Look in the archive too.
            strengthen: Count this as a recall of the hits: strength + 1, and the forgetting curve begins anew at `now_ns`.
            now_ns: None takes now.

        Raises: ValueError, TypeError for arguments (NaN, a wrong number of dimensions); ConsentError if the store has a policy and the
        partner has not consented; StoreError.
        """
        if combination not in COMBINATIONS:
            raise ValueError(f"combination: expected one of {', '.join(COMBINATIONS)}, got {combination!r}")
        k, candidates, kinds = check_k(k, "k"), check_k(candidates, "candidates"), check_kinds(kinds)
        who = None if partner is None else check_partner(partner)
        before = None if before_ns is None else check_time(before_ns, 0, "before_ns")
        feeling, now = check_emotion(emotion), self._now(now_ns)
        if who is not None:
            self._require(who)
        words = self._query(query)
        used, reason = _possible(combination, words is not None, bool(feeling.any()))
        if not self._db.read_only:
            self._expire_if_due(now)
        if used == "none":
            return Recall((), (), used, reason)
        with self._db.read() as connection:
            index = self._loaded(connection, words is not None)
            if index is None:
                return Recall((), (), used, reason)
            allowed = index.visible(
                partner=who,
                others=self.sharing,
                but=self._silent(index, who),
                kinds=kinds,
                before_ns=before,
                archived=archived,
                readable=used != "emotional",
            )
            semantics, emotions = index.column("semantics"), index.column("emotions")
            coded = {"codes": index.column("codes"), "code_bounds": index.column("bounds")} if len(index) >= CODES_FROM else {}
            found, distances = _core.memory_top_k(
                words if used != "emotional" else None,
                feeling if used != "semantic" else None,
                semantics,
                emotions,
                combination=used,
                k=min(k, len(index)),
                candidates=min(candidates, len(index)),
                allowed=allowed,
                **coded,
            )
            ids = [int(id_) for id_ in index.column("ids")[found]]
            there = rows.by_id(connection, ids)
            hits = tuple(
                Hit(
                    there[id_],
                    float(distance),
                    float(np.linalg.norm(semantics[i] - words)) if words is not None else float("nan"),
                    _cosine_distance(emotions[i], feeling),
                )
                for id_, i, distance in zip(ids, found, distances, strict=True)
                if id_ in there  # another process may have erased it just now
            )
            linked = self._linked(connection, hits[0].memory.id) if hits else []
            seen = tuple(m for m in linked if self._shown(m, who) and (archived or m.archived_ns is None))
        if strengthen and hits:
            self._strengthen([hit.memory.id for hit in hits], now)
            with self._db.read() as connection:
                there = rows.by_id(connection, [hit.memory.id for hit in hits])
            hits = tuple(dataclasses.replace(hit, memory=there[hit.memory.id]) for hit in hits if hit.memory.id in there)
        return Recall(hits, seen, used, reason)

    def prepare(self) -> int:
        """Read the vectors into memory now, not at the first recall; returns how many. At 100,000 memories that takes seconds."""
        with self._db.read() as connection:
            index = self._loaded(connection, words=False)
            return 0 if index is None else len(index)

    def _query(self, query: str | NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if query is None or (isinstance(query, str) and not query.strip()):
            return None
        vector = self._embedder([check_words(query, "query")])[0] if isinstance(query, str) else self._embedder.check(query)
        return vector if vector.any() else None

    def _loaded(self, connection: sqlite3.Connection, words: bool) -> VectorIndex | None:
        """The index in step with the file, or None if there is nothing to search; words: whether our encoder's vectors come to it."""
        with self._db.snapshot():
            return self._load(connection, words)

    def _load(self, connection: sqlite3.Connection, words: bool) -> VectorIndex | None:
        if words and not self._check_encoder(connection):
            return None
        version, kept = self._db.changes_of_others(), self._kept_encoder(connection)
        if self._index is not None and self._index_of != kept:
            self._drop_index()
        if kept is None:
            return None
        if self._index is None or version != self._index_version:
            index = self._index or VectorIndex(kept.dimensions)
            self._index = None  # half loaded it would be wrong for ever
            try:
                index.load(connection)
            except (TypeError, ValueError, OverflowError) as error:
                raise StoreError(f"{self.path}: the file is damaged ({error})", "corrupt") from error
            self._index, self._index_version, self._index_of = index, version, kept
        return self._index if len(self._index) else None

    def _silent(self, index: VectorIndex, partner: str | None) -> list[str]:
        """Of whom nothing may be shown to another, whatever is shared: they have not consented, or no longer do."""
        if self.policy is None or partner is None or self.sharing == "private":
            return []
        return [name for name in index.partners() if name != partner and not self.policy.allows("memory", partner=name)]

    def _shown(self, memory: Memory, partner: str | None) -> bool:
        if partner is None or memory.partner == partner:
            return True
        if self.policy is not None and not self.policy.allows("memory", partner=memory.partner):
            return False
        return self.sharing == "shared" or (self.sharing == "flagged" and memory.shared)

    def strengthen(self, ids: Collection[int], now_ns: int | None = None) -> int:
        """Count as recalled: strength + 1, and the forgetting curve begins anew. Returns how many of the memories there were.

        A clock that was set back moves no memory back: the later of the two times stays.
        """
        return self._strengthen(check_ids(ids), self._now(now_ns))

    def _strengthen(self, ids: Collection[int], now: int) -> int:
        return self._update("strength = strength + 1, recalled_ns = max(recalled_ns, ?)", [now], ids, lambda index: None)

    # ---- links

    def link(self, a: int, b: int, linked: bool = True) -> None:
        """Note that two memories belong together, or (linked=False) that they do not. The order of the two is nothing.

        Raises ValueError if they are the same one, or one is not there.
        """
        low, high = check_ids([a, b]) if a != b else (0, 0)
        if not low:
            raise ValueError(f"link: expected two different memories, got {a} and {b}")
        with self._db.write() as connection:
            for id_ in (low, high):
                if id_ not in rows.by_id_only(connection, [id_]):
                    raise ValueError(f"link: there is no memory {id_}")
            connection.execute("INSERT OR REPLACE INTO links VALUES (?, ?, ?)", (low, high, int(linked)))

    def linked(self, id_: int) -> tuple[Memory, ...]:
        """The memories linked with one, itself not among them, in order of id; whoever's."""
        with self._db.read() as connection:
            return tuple(self._linked(connection, check_k(id_, "id")))

    @staticmethod
    def _linked(connection: sqlite3.Connection, id_: int) -> list[Memory]:
        found = connection.execute(
            "SELECT b FROM links WHERE a = ? AND linked = 1 UNION SELECT a FROM links WHERE b = ? AND linked = 1", (id_, id_)
        )
        return [memory for _, memory in sorted(rows.by_id(connection, [row[0] for row in found]).items())]

    def link_pass(self, id_: int, judge: Judge, *, kinds: Iterable[str] = KINDS, limit: int | None = None) -> int:
        """Ask `judge` about a memory and each other one of the same partner, and keep the answers (EMMA, J. Jang et al., EMNLP 2024).

        Each pair is asked about once in the store's life, whichever of the two is asked for: the answer no is kept as well.

        Args:
            id_: The memory.
            judge: Called outside of any lock; it may take seconds.
            kinds: Of the others.
            limit: Ask about so many at most, the newest first.

        Returns: How often `judge` was asked. Raises ValueError if there is no such memory; what `judge` raises ends the pass, and the
        answers so far stay.
        """
        kinds = check_kinds(kinds)
        with self._db.read() as connection:
            source = rows.by_id(connection, [check_k(id_, "id")]).get(id_)
            if source is None:
                raise ValueError(f"link_pass: there is no memory {id_}")
            others = rows.select(
                connection,
                f"partner = ? AND kind IN ({rows.marks(kinds)}) AND id != ? AND NOT EXISTS"
                " (SELECT 1 FROM links WHERE (a = ? AND b = memories.id) OR (b = ? AND a = memories.id))",
                [source.partner, *kinds, id_, id_, id_],
                "stamp_ns DESC, id DESC" + (f" LIMIT {check_k(limit, 'limit')}" if limit is not None else ""),
            )
        asked = 0
        for other in others:
            answer = bool(judge(source, other))
            asked += 1
            try:
                self.link(id_, other.id, answer)
            except ValueError:  # one of them was erased meanwhile
                continue
        return asked

    # ---- another encoder

    def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Make all vectors anew with the encoder that this store was opened with; returns how many. All of them, or none if it raises.

        Others may read and write meanwhile; only the last step takes the file for itself. progress: called with (done, total).
        """
        made: dict[int, NDArray[np.float32]] = {}
        after, total = 0, self.count()
        while batch := self.memories(after_id=after, limit=_BATCH):
            made |= zip((m.id for m in batch), self._embedder([m.text for m in batch]), strict=True)
            after = batch[-1].id
            if progress is not None:
                progress(len(made), max(total, len(made)))
        with self._db.exclusive():
            with self._db.write() as connection:
                ids = {row[0] for row in connection.execute("SELECT id FROM memories")}
                late = rows.by_id(connection, ids - made.keys())
                made |= zip(late, self._embedder([m.text for m in late.values()]), strict=True) if late else ()
                for id_ in sorted(ids):
                    rows.replace_vector(connection, id_, made[id_])
                rows.set_meta(connection, "encoder", self._embedder.encoder.to_json())
            self._drop_index()
        return len(ids)


def _possible(combination: str, words: bool, feeling: bool) -> tuple[str, str]:
    """What can be ranked by, and why it is not what was asked for."""
    needs_words, needs_feeling = combination != "emotional", combination != "semantic"
    if (words or not needs_words) and (feeling or not needs_feeling):
        return combination, ""
    if words:
        return "semantic", "emotion unknown"
    return ("emotional" if feeling else "none"), "unreadable query"


def _cosine_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    if not b.any():
        return float("nan")
    if not a.any():
        return 1.0
    x: Any = a.astype(np.float64)
    y: Any = b.astype(np.float64)
    return float(np.clip(1.0 - x @ y / np.sqrt((x @ x) * (y @ y)), 0.0, 1.0))
