"""Files: old, newer, hostile, damaged, locked, read-only, without room; keys; several processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from affectrt import MemoryStore, StoreError
from affectrt.memory import NewMemory
from affectrt.memory.schema import APPLICATION_ID, MIGRATIONS, VERSION
from memory_tools import WORDS, bag_of_words

Open = Callable[..., MemoryStore]

# A file as the first version made it: by hand, so that no later change of the code can change it too.
VERSION_1 = """
CREATE TABLE memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, partner TEXT NOT NULL, text TEXT NOT NULL, stamp_ns INTEGER NOT NULL,
    recalled_ns INTEGER NOT NULL, strength INTEGER NOT NULL, shared INTEGER NOT NULL, archived_ns INTEGER, emotion BLOB NOT NULL,
    crc INTEGER NOT NULL);
CREATE INDEX memories_by_partner ON memories (partner, stamp_ns);
CREATE INDEX memories_by_time ON memories (stamp_ns);
CREATE TABLE vectors (memory INTEGER PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE, semantic BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE links (
    a INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE, b INTEGER NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    linked INTEGER NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE INDEX links_by_b ON links (b);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO memories VALUES (3, 'utterance', 'anna', 'My bees are back.', 1700000000000000000, 1700000500000000000, 2, 0, NULL,
    X'0000803f00000000000000000000003f00000000000000000000000000000000', 0);
INSERT INTO memories VALUES (4, 'fact', 'anna', 'Anna keeps bees.', 1700000001000000000, 1700000001000000000, 1, 1, 1700000900000000000,
    X'0000000000000000000000000000000000000000000000000000000000000000', 0);
INSERT INTO links VALUES (3, 4, 1);
INSERT INTO meta VALUES ('encoder', '{"name": "bag-of-words", "version": "1", "dimensions": 48, "sha256": ""}');
PRAGMA application_id = 1634100845;
PRAGMA user_version = 1;
"""


def make_version_1(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    for id_, kind, partner, text, stamp, emotion in connection.execute(
        "SELECT id, kind, partner, text, stamp_ns, emotion FROM memories"
    ).fetchall():
        crc = zlib.crc32(emotion, zlib.crc32(f"{id_}\0{kind}\0{partner}\0{text}\0{stamp}".encode()))
        vector = bag_of_words([text])[0].astype("<f4").tobytes()
        connection.execute("UPDATE memories SET crc = ? WHERE id = ?", (crc, id_))
        connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", (id_, vector, zlib.crc32(vector, id_)))
    connection.commit()
    connection.close()


def test_an_old_file_is_migrated_and_keeps_everything(open_store: Open, tmp_path: Path) -> None:
    make_version_1(tmp_path / "robot.db")
    with pytest.raises(StoreError, match=f"schema version 1, expected {VERSION}; open it once without read_only"):
        open_store(read_only=True)
    store = open_store()
    one, two = store.memories()
    assert (one.id, one.text, one.strength, one.recalled_ns, one.emotion[:4]) == (
        3,
        "My bees are back.",
        2,
        1_700_000_500_000_000_000,
        (1, 0, 0, 0.5),
    )
    assert (two.shared, two.archived_ns, two.day, two.lost_sources) == (True, 1_700_000_900_000_000_000, "", 0)
    assert [m.id for m in store.linked(3)] == [4] and store.check() == [] and store.encoder == WORDS
    assert [h.memory.id for h in store.recall("bees", partner="anna", archived=True).hits] == [4, 3]
    summary = store.add_summary("2023-11-14", "bees", partner="anna", sources=[3, 4])
    store.save_state("mood", 1)
    assert summary.id == 5 and store._db._version() == VERSION
    store.close()
    assert open_store().get(5) == summary


def test_a_file_of_the_second_version_keeps_its_states(open_store: Open, tmp_path: Path) -> None:
    start = [*MIGRATIONS[0], *MIGRATIONS[1], f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 2"]
    foreign(tmp_path / "robot.db", *start, "INSERT INTO state VALUES ('anna', 'mood', '[1]', 5, 1)")
    store = open_store()
    state = store.load_state("mood", partner="anna")
    assert state is not None and state.value == [1] and store.partners() == ("anna",)
    assert store.load_blob("cache", partner="anna") is None and store.save_blobs({"cache": b"x"}, partner="anna") and store.check() == []


def test_migrating_is_all_or_nothing(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_version_1(tmp_path / "robot.db")
    before = (tmp_path / "robot.db").read_bytes()[100:]
    broken = (*MIGRATIONS[:2], (*MIGRATIONS[2], "CREATE TABLE memories (wrong)"))
    monkeypatch.setattr("affectrt.memory.database.MIGRATIONS", broken)
    with pytest.raises(StoreError, match="already exists"):
        open_store()
    assert (tmp_path / "robot.db").read_bytes()[100:] == before
    monkeypatch.undo()
    assert open_store().count() == 2


def test_a_newer_file_is_refused_and_both_versions_named(open_store: Open, tmp_path: Path) -> None:
    open_store().close()
    connection = sqlite3.connect(tmp_path / "robot.db")
    connection.execute("PRAGMA user_version = 77")
    connection.close()
    before = (tmp_path / "robot.db").read_bytes()
    for options in ({}, {"read_only": True}):
        with pytest.raises(StoreError, match=f"schema version 77; this affectrt knows up to {VERSION}") as caught:
            open_store(**options)
        assert caught.value.reason == "newer"
    assert (tmp_path / "robot.db").read_bytes() == before


def foreign(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: foreign(path, "CREATE TABLE songs (name)"),
        lambda path: foreign(path, "PRAGMA application_id = 7"),
        lambda path: foreign(path, "PRAGMA user_version = 1"),
        lambda path: foreign(path, "CREATE TABLE songs (name)", f"PRAGMA application_id = {APPLICATION_ID}"),
        lambda path: foreign(path, "CREATE TABLE t (a)", f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = -1"),
        lambda path: foreign(
            path,
            *(statement for step in MIGRATIONS for statement in step),
            "CREATE TRIGGER t AFTER INSERT ON memories BEGIN DELETE FROM memories; END",
            f"PRAGMA application_id = {APPLICATION_ID}",
            f"PRAGMA user_version = {VERSION}",
        ),
        lambda path: foreign(
            path, "CREATE TABLE t (a)", "CREATE VIEW v AS SELECT 1", f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1"
        ),
    ],
    ids=["another's", "another's id", "another's version", "no version", "negative version", "with a trigger", "with a view"],
)
def test_another_programs_database_is_refused_and_left_alone(open_store: Open, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "robot.db")
    before = (tmp_path / "robot.db").read_bytes()
    with pytest.raises(StoreError, match="a database, but not of memories") as caught:
        open_store()
    assert caught.value.reason == "corrupt" and (tmp_path / "robot.db").read_bytes() == before


def test_ours_with_other_tables_fails_in_our_words(open_store: Open, tmp_path: Path) -> None:
    foreign(tmp_path / "robot.db", "CREATE TABLE t (a)", f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {VERSION}")
    with pytest.raises(StoreError, match="no such table"):
        open_store()


@pytest.mark.parametrize(
    "content", [b"x", b"not a database, " * 300, b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 5000, b"\0" * 4096]
)
def test_not_a_database(open_store: Open, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "robot.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"not a memory file|damaged|not of memories"):
        open_store()
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match=r"key|damaged"):
        open_store(key="secret")
    assert path.read_bytes() == content


def test_an_empty_file_is_a_new_store(open_store: Open, tmp_path: Path, key: str | None) -> None:
    (tmp_path / "robot.db").touch()
    assert open_store(key=key).add("bees", partner="a").id == 1


def test_places_that_are_no_files(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "folder", "expected a file, got a folder"), (tmp_path / "pipe", "expected a file, got something else")):
        with pytest.raises(StoreError, match=words):
            open_store(path=path)
    for path in (tmp_path / "none" / "robot.db", tmp_path / "pipe" / "robot.db"):
        with pytest.raises(StoreError, match="there is no folder") as caught:
            open_store(path=path)
        assert caught.value.reason == "missing"
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreError, match="no such file"):
            open_store(path=tmp_path / "none.db", **options)
    assert not (tmp_path / "none.db").exists()
    odd = tmp_path / "a?b#c %41 d.db"
    open_store(path=odd).add("bees", partner="a")
    assert odd.exists()


# ---- keys


def test_keys(open_store: Open, tmp_path: Path) -> None:
    raw_key = bytes(range(32))
    for i, key in enumerate(['it\'s a "key"; --', "\N{SNOWMAN} \\", raw_key, "x'" + "ab" * 32 + "'"]):
        path = tmp_path / f"{i}.db"
        store = open_store(path=path, key=key)
        store.add("bees", partner="a")
        assert repr(key) not in repr(store) and store.encrypted
        store.close()
        assert open_store(path=path, key=key).count() == 1
        for wrong in ("wrong", bytes(32)):
            with pytest.raises(StoreError, match="the key is wrong, or this is not an encrypted memory file") as caught:
                open_store(path=path, key=wrong)
            assert caught.value.reason == "key" and "wrong'" not in str(caught.value)
        with pytest.raises(StoreError, match="not a memory file, or it is encrypted and needs its key") as caught:
            open_store(path=path)
        assert caught.value.reason == "key"


def test_a_wrong_key_is_silent_on_stderr(open_store: Open, capfd: pytest.CaptureFixture[str]) -> None:
    open_store(key="right").close()
    with pytest.raises(StoreError):
        open_store(key="wrong")
    assert capfd.readouterr() == ("", "")


def test_a_key_for_a_plain_file_is_refused(open_store: Open) -> None:
    store = open_store()
    store.add("bees", partner="a")
    with pytest.raises(StoreError, match="a key was given, but the file is not encrypted; leave the key out") as caught:
        open_store(key="secret")
    assert caught.value.reason == "key" and store.count() == 1


def test_without_sqlcipher_a_key_makes_no_plain_file(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["sqlcipher3"] = None
from affectrt.memory import MemoryStore, StoreError
try:
    MemoryStore({str(tmp_path / "robot.db")!r}, key="secret")
except StoreError as error:
    print(error.reason, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == 'missing a key was given, but SQLCipher is not installed: pip install "affectrt[encrypted]"\n', done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sqlcipher_that_does_not_encrypt_is_refused(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affectrt.memory.database._sqlcipher", lambda: sqlite3)
    with pytest.raises(StoreError, match="built without SQLCipher"):
        open_store(key="secret")
    assert (tmp_path / "robot.db").read_bytes() == b""


# ---- locked, read-only, no room


def test_a_locked_file_is_waited_for_and_then_told(open_store: Open, key: str | None) -> None:
    store, other = open_store(key=key, timeout_s=0.2), open_store(key=key)
    store.add("bees", partner="a")
    with other._db.write():
        with pytest.raises(StoreError, match=r"another program is writing to it; waited 0\.2 s") as caught:
            store.add("cows", partner="a")
        assert caught.value.reason == "busy"
        assert store.recall("bees", partner="a").hits[0].memory.id == 1  # reading needs no turn
    assert store.add("cows", partner="a").id == 2


def test_two_processes_write_to_one_file(open_store: Open, tmp_path: Path, key: str | None) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from memory_tools import WORDS, bag_of_words
from affectrt.memory import MemoryStore
with MemoryStore({str(tmp_path / "robot.db")!r}, embed=bag_of_words, encoder=WORDS, timeout_s=60, key={key!r}) as store:
    for i in range(60):
        store.add(f"{{sys.argv[1]}} {{i}}", partner=sys.argv[1])
"""
    writers = [subprocess.Popen([sys.executable, "-c", program, name], stderr=subprocess.PIPE) for name in ("a", "b")]
    store = open_store(timeout_s=60, key=key)
    for i in range(30):
        store.add(f"c {i}", partner="c")
        assert store.recall(f"c {i}", partner="c", k=1).hits[0].memory.text == f"c {i}"
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == b"" and writer.returncode == 0
    assert [store.count(partner=p) for p in "abc"] == [60, 60, 30] and store.check() == []
    assert len(store.recall("a", partner=None, k=500).hits) == 150


def test_read_only_reads_and_refuses_to_write(open_store: Open, key: str | None, tmp_path: Path) -> None:
    store = open_store(key=key)
    store.add("bees", partner="a", emotion={"joy": 1})
    live = open_store(key=key, read_only=True)
    assert live.recall("bees", partner="a").hits[0].memory.id == 1
    store.add("bees too", partner="a")
    assert len(live.recall("bees", partner="a").hits) == 2
    calls = (
        lambda s: s.add("no", partner="a"),
        lambda s: s.erase_all(),
        lambda s: s.save_state("x", 1),
        lambda s: s.recall("bees", partner="a", strengthen=True),
        lambda s: s.forget(2**62, seed=1),
    )
    for call in calls:
        with pytest.raises(StoreError, match="read_only") as caught:
            call(live)
        assert caught.value.reason == "read-only"
    store.close()
    live.close()
    assert len(open_store(key=key, read_only=True).memories()) == 2


AS_NOBODY = """
import os, sys
sys.path[:0] = {path!r}
from memory_tools import WORDS, bag_of_words
from affectrt.memory import MemoryStore, StoreError
if os.getuid() == 0:  # for whom nothing is read-only; after the imports, as nobody may not read root's Python
    os.setgid(65534); os.setuid(65534)
def attempt(**options):
    try:
        with MemoryStore({file!r}, embed=bag_of_words, encoder=WORDS, **options) as store:
            return [m.text for m in store.memories()], len(store.recall("bees", partner="a").hits)
    except StoreError as error:
        return error.reason, str(error).partition(": ")[2]
print(attempt(), attempt(read_only=True))
"""


@pytest.mark.parametrize("what", ["file", "folder", "both", "unreadable"])
def test_a_read_only_file_or_folder(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    path = folder / "robot.db"
    with MemoryStore(path, embed=bag_of_words, encoder=WORDS) as store:
        store.add("bees", partner="a")
    for above in [tmp_path, *tmp_path.parents]:
        if above.stat().st_uid == os.getuid() and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o011)
    path.chmod({"file": 0o444, "folder": 0o666, "both": 0o444, "unreadable": 0o000}[what])
    folder.chmod(0o777 if what in ("file", "unreadable") else 0o555)
    program = AS_NOBODY.format(path=[str(Path(__file__).parent), *sys.path], file=str(path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    folder.chmod(0o755)
    refused = "('read-only', 'the file or its folder cannot be written; read_only=True opens it for reading')"
    if what == "unreadable":
        assert done.stdout == "('read-only', 'Permission denied') ('read-only', 'Permission denied')\n", done.stderr
    else:
        assert done.stdout == f"{refused} (['bees'], 1)\n", done.stderr


def test_a_full_disk_keeps_what_was_and_says_so(open_store: Open, key: str | None) -> None:
    """As far as SQLite is concerned a file that may not grow is a full disk: SQLITE_FULL."""
    store = open_store(key=key)
    store.add("bees", partner="a")
    with store._db.read() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StoreError, match="the disk is full") as caught:
        store.add_many(NewMemory(f"cows {i} " + "pad " * 500, "a") for i in range(50))
    assert caught.value.reason == "full" and store.count() == 1
    with store._db.read() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert store.add("cows", partner="a").id == 2 and store.check() == [] and len(store.recall("cows", partner="a").hits) == 2


def test_a_file_that_may_not_grow(open_store: Open, tmp_path: Path, key: str | None) -> None:
    """The system itself refuses to write (EFBIG at RLIMIT_FSIZE), at the log."""
    program = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from memory_tools import WORDS, bag_of_words
from affectrt.memory import MemoryStore, NewMemory, StoreError
store = MemoryStore({str(tmp_path / "robot.db")!r}, embed=bag_of_words, encoder=WORDS, key={key!r})
store.add("bees", partner="a")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    store.add_many(NewMemory(f"cows {{i}} " + "pad " * 500, "a") for i in range(200))
    print("kept")
except StoreError as error:
    print(error.reason)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print([m.text for m in store.memories()], store.add("later", partner="a").text, store.check())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout in ("failed\n['bees'] later []\n", "full\n['bees'] later []\n"), (done.stdout, done.stderr)
    assert [m.text for m in open_store(key=key).memories()] == ["bees", "later"]


def test_nothing_is_left_open_when_opening_fails(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "robot.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(StoreError):
            open_store()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
