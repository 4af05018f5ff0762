"""Bytes beside the memories: what a program wants to go on with in its next run."""

from __future__ import annotations

from collections.abc import Mapping

from affectrt.memory import rows
from affectrt.memory.base import MARK, StoreBase
from affectrt.memory.items import UTTERANCE, StoredBlob, check_k, check_partner, check_time, check_words

MAX_BLOB_BYTES = 256 << 20
"""Of all blobs of a file together."""


class Blobs(StoreBase):
    """See `MemoryStore`."""

    def save_blobs(
        self,
        values: Mapping[str, bytes | None],
        *,
        partner: str,
        stamp_ns: int | None = None,
        version: int = 1,
        mark: str | None = None,
    ) -> bool:
        """Keep bytes under names, in the place of older ones; all of it is on the disk when this returns, or nothing if it raises.

        They are for what repeats words in a form that no word can be taken out of, such as the cache of a language model. So they are
        the first to go: whenever anything is erased from the store, by whomever, all blobs of everyone are erased with it. For limits of
        age they count as utterances. In all there are at most 256 MB: beyond that those saved longest ago give way. Exports leave them
        out.

        Args:
            values: By name; None takes away what is there.
            partner: Whose they are.
            stamp_ns: When the oldest of what is in them was said; None takes now.
            version: The form of the bytes, in your own counting.
            mark: What `erasing_mark` gave before anything that is in them was recalled or said: if something was erased since then,
                nothing is kept, as it may be in them.

        Returns:
            Whether they were kept: not if something was erased meanwhile, or if they are too old.

        Raises: ValueError, TypeError; ConsentError, PolicyError by the store's policy; StoreError.
        """
        name, now = check_partner(partner), self._now(None)
        stamp, form = check_time(stamp_ns, now), check_k(version, "version")
        if mark is not None and not isinstance(mark, str):
            raise TypeError(f"mark: expected what erasing_mark() gave, got {type(mark).__name__}")
        for key, value in values.items():
            check_words(key, "a blob's name")
            if value is not None and not isinstance(value, bytes):
                raise TypeError(f"blob {key!r}: expected bytes or None, got {type(value).__name__}")
        if (total := sum(len(value) for value in values.values() if value is not None)) > MAX_BLOB_BYTES:
            raise ValueError(f"blobs {', '.join(values)}: expected at most {MAX_BLOB_BYTES} bytes (256 MB), got {total}")
        self._require(name, UTTERANCE)
        if self._too_old(stamp, now):
            return False
        with self._db.write() as connection:
            if mark is not None and rows.meta(connection, MARK) != (mark or None):
                return False
            for key, value in values.items():
                if value is None:
                    connection.execute("DELETE FROM blobs WHERE partner = ? AND name = ?", (name, key))
                else:
                    rows.replace_blob(connection, name, key, stamp, form, value)
            rows.thin_blobs(connection, MAX_BLOB_BYTES)
        return True

    def load_blob(self, name: str, *, partner: str) -> StoredBlob | None:
        """What was last saved under a name; None if there is nothing, or it has become too old.

        Raises: ValueError, TypeError; ConsentError, PolicyError by the store's policy; StoreError, "corrupt" if it is damaged.
        """
        owner, key, now = check_partner(partner), check_words(name, "name"), self._now(None)
        self._require(owner)
        with self._db.read() as connection:
            found = rows.blob(connection, owner, key)
        return found if found is not None and not self._too_old(found.stamp_ns, now) else None

    def erasing_mark(self) -> str:
        """Another one after each erasing from the file, by whomever, and the same until then: for `save_blobs`."""
        with self._db.read() as connection:
            return rows.meta(connection, MARK) or ""

    def _too_old(self, stamp: int, now: int) -> bool:
        limit = self._limits_ns().get(UTTERANCE)
        return limit is not None and now - stamp >= limit
