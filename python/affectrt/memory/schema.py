"""The tables of a memory file, version by version.

To change them, append to `MIGRATIONS` and never touch what stands: a new file goes through the same steps as an old one.
`PRAGMA user_version` holds the version, `PRAGMA application_id` says that the file is ours.
"""

from __future__ import annotations

APPLICATION_ID = 0x6166666D  # "affm"

_V1 = (
    # `crc` is over what never changes (id, kind, partner, text, stamp_ns, emotion): SQLite itself does not notice a flipped bit in a text.
    """CREATE TABLE memories (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        partner TEXT NOT NULL,
        text TEXT NOT NULL,
        stamp_ns INTEGER NOT NULL,
        recalled_ns INTEGER NOT NULL,
        strength INTEGER NOT NULL,
        shared INTEGER NOT NULL,
        archived_ns INTEGER,
        emotion BLOB NOT NULL,
        crc INTEGER NOT NULL)""",
    "CREATE INDEX memories_by_partner ON memories (partner, stamp_ns)",
    "CREATE INDEX memories_by_time ON memories (stamp_ns)",
    # Apart, so that a walk over the memories does not read past 1.5 KB of vector at each.
    """CREATE TABLE vectors (
        memory INTEGER PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE,
        semantic BLOB NOT NULL,
        crc INTEGER NOT NULL)""",
    # Both answers are kept, as each costs the judge a call: linked 0 says that the pair was looked at and is not linked. a < b.
    """CREATE TABLE links (
        a INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
        b INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
        linked INTEGER NOT NULL,
        PRIMARY KEY (a, b)) WITHOUT ROWID""",
    "CREATE INDEX links_by_b ON links (b)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

_V2 = (
    # Summaries and portraits: what they are of, what they were made of, and what of that has been forgotten since.
    "ALTER TABLE memories ADD COLUMN day TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE memories ADD COLUMN lost_sources INTEGER NOT NULL DEFAULT 0",
    "CREATE UNIQUE INDEX memories_one_a_day ON memories (partner, kind, day) WHERE kind IN ('summary', 'portrait')",
    """CREATE TABLE sources (
        memory INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
        source INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
        PRIMARY KEY (memory, source)) WITHOUT ROWID""",
    "CREATE INDEX sources_by_source ON sources (source)",
    """CREATE TABLE state (
        partner TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        stamp_ns INTEGER NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (partner, name)) WITHOUT ROWID""",
)

_V3 = (
    # What may repeat any memory's words, and goes when anything is erased. The value comes last, so that the rest is read without it.
    """CREATE TABLE blobs (
        partner TEXT NOT NULL,
        name TEXT NOT NULL,
        stamp_ns INTEGER NOT NULL,
        version INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (partner, name))""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2, _V3)
VERSION = len(MIGRATIONS)
