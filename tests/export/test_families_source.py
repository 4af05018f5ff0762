"""Where a model comes from: folders, the hub's cache, licences, names; and a clear no to what is none of it."""

from __future__ import annotations

from pathlib import Path

import checkpoints
import pytest
from affectrt_export import families
from affectrt_export.families import labels, source
from affectrt_export.spec import ExportError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.encoder(tmp_path_factory.mktemp("models") / "My_Model.v2", "bert")


def cached(cache: Path, files: Path, repo: str = "org/emotion-model") -> Path:
    """A repository in the hub's cache as its client lays it: blobs, and a snapshot of links to them."""
    home = cache / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    (home / "blobs").mkdir()
    for i, file in enumerate(sorted(files.iterdir())):
        blob = home / "blobs" / f"{i:040d}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["org/emotion-model", f"org/emotion-model@{COMMIT}", "org/emotion-model@main"])
def test_a_hub_id_is_found_in_the_cache_of_the_hub(tmp_path: Path, folder: Path, name: str) -> None:
    cached(tmp_path, folder)
    found = source.find(name, families.Options(cache=tmp_path))
    assert found.model_type == "bert" and found.origin == f"hub: org/emotion-model@{COMMIT}"
    assert source.name_of(found, families.Options()) == "emotion-model"
    assert [file.name for file in source.weight_files(found)] == ["model.safetensors"]


@pytest.mark.usefixtures("offline")
def test_only_weights_without_code_are_asked_of_the_hub(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = {}

    def snapshot(repo: str, **said: object) -> str:
        asked.update(said)
        return str(cached(tmp_path, folder))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    families.find("org/emotion-model@v1", families.Options(revision="v2"))
    assert asked["revision"] == "v2" and asked["ignore_patterns"] == ["*/*"]
    assert set(asked["allow_patterns"]) == {"*.json", "*.txt", "*.safetensors", "*.onnx", "README.md"}


@pytest.mark.usefixtures("offline")
def test_what_the_cache_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="org/absent: no such folder here, the hub's cache does not hold it"):
        families.read("org/absent", options=families.Options(cache=tmp_path))


@pytest.mark.usefixtures("offline")
def test_a_link_out_of_the_cache_is_refused(tmp_path: Path, folder: Path) -> None:
    snapshot = cached(tmp_path / "cache", folder)
    secret = tmp_path / "secret.txt"
    secret.write_text("s")
    (snapshot / "labels.txt").symlink_to(secret)
    with pytest.raises(ExportError, match=r"labels.txt: a link inside the repository's cache was expected"):
        families.find("org/emotion-model", families.Options(cache=tmp_path / "cache"))


@pytest.mark.parametrize("given", ["nowhere", "./nowhere/else", "a/b/c", "model.onnx", "https://example.org/x", ""])
def test_what_is_nothing_lists_what_could_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=r"a folder in hub layout, a hub id|with config.json in it"):
        families.read(given)


def test_a_folder_without_config(tmp_path: Path) -> None:
    (tmp_path / "weights.pkl").touch()
    with pytest.raises(ExportError, match=r"with config.json in it; it holds weights.pkl"):
        families.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\x00"])
def test_a_config_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ExportError, match=r"config.json: a JSON"):
        families.read(tmp_path)


def test_an_unknown_kind_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "whisper", "architectures": ["WhisperForAudioClassification"]}')
    with pytest.raises(ExportError) as caught:
        families.read(tmp_path)
    words = str(caught.value)
    assert "model_type 'whisper', WhisperForAudioClassification: no family reads it" in words
    assert all(f"{family.name} ({family.about})" in words for family in families.FAMILIES)


def test_a_family_by_name(folder: Path) -> None:
    with pytest.raises(ExportError, match="family 'magic' is not known; there are affect-minilm, affect-fernet, question, encoder"):
        families.read(folder, family="magic")
    with pytest.raises(ExportError, match="affect-minilm were expected"):
        families.read(folder, family="affect-minilm")


def test_names_and_types_are_told_apart() -> None:
    names = [family.name for family in families.FAMILIES]
    assert len(set(names)) == len(names)


def test_the_name_and_licence_of_a_folder(tmp_path: Path, folder: Path) -> None:
    found = source.find(folder, families.Options())
    assert source.name_of(found, families.Options()) == "my-model-v2" and source.license_of(found, families.Options()) == ""
    assert found.origin == "folder: My_Model.v2" and str(folder.parent) not in found.origin
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\nlicense: mit\n")
    said = source.find(tmp_path, families.Options())
    assert source.license_of(said, families.Options()) == "Apache-2.0"
    assert source.license_of(said, families.Options(license="MIT")) == "MIT"
    (tmp_path / "README.md").write_text("---\nlicense: other\n---\n")
    assert source.license_of(said, families.Options()) == ""
    with pytest.raises(ExportError, match="name 'A b'"):
        source.name_of(said, families.Options(name="A b"))


def test_shards_are_all_needed_and_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    index = tmp_path / "model.safetensors.index.json"
    found = source.find(tmp_path, families.Options())
    index.write_text('{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}')
    (tmp_path / "one.safetensors").touch()
    with pytest.raises(ExportError, match=r"expected beside it, missing: two.safetensors"):
        source.weight_files(found)
    (tmp_path / "two.safetensors").touch()
    assert [file.name for file in source.weight_files(found)] == ["one.safetensors", "two.safetensors"]
    index.write_text('{"weight_map": {"a": "../one.safetensors"}}')
    with pytest.raises(ExportError, match=r"missing: ../one.safetensors"):
        source.weight_files(found)


def test_labels_know_where_they_lie() -> None:
    read = labels.of_names(["Anger", "happiness", "Contempt", "sleepiness", "surprise"])
    at = {entry["name"]: (entry["valence"], entry["arousal"], entry["dominance"]) for entry in read.entries}
    assert at["Anger"] == (-0.51, 0.59, 0.25) and at["happiness"] == (0.81, 0.51, 0.46) and at["surprise"] == (0.40, 0.67, -0.13)
    assert at["sleepiness"] == (0, 0, 0) and at["Contempt"] == (-0.60, 0.35, 0.11)
    assert len(read.notes) == 2 and "0 is taken: sleepiness." in read.notes[0] and "Contempt" in read.notes[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "joy\nmeh\t-0.1\t-0.4\n\n"),
        ("labels.txt", "joy\nmeh,-0.1,-0.4,0\n"),
        ("labels.txt", "joy\nmeh , -0.1, -0.4\n"),
        ("labels.json", '["joy", {"name": "meh", "valence": -0.1, "arousal": -0.4}]'),
    ],
)
def test_a_labels_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    read = labels.of_file(tmp_path / name, 2)
    assert read.names == ("joy", "meh") and not read.notes
    assert read.entries[1] == {"name": "meh", "valence": -0.1, "arousal": -0.4, "dominance": 0.0}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("labels.txt", "joy\n", "2 labels were expected, one an output of the network, got 1: joy"),
        ("labels.txt", "", "at least one label"),
        ("labels.txt", "joy\nmeh\t1.5\t0\n", r"values in \[-1, 1\] were expected of 'meh'"),
        ("labels.txt", "joy\nmeh\tnan\t0\n", r"values in \[-1, 1\] were expected of 'meh'"),
        ("labels.txt", "joy\nmeh\tlow\t0\n", "numbers were expected after 'meh'"),
        ("labels.txt", "joy\nmeh\t1\n", "a name, or name, valence, arousal"),
        ("labels.txt", "joy 0.8 0.5\nmeh\n", r"'joy' and numbers with spaces .*'joy 0.8 0.5'; a line has commas or tabs: joy,0.8,0.5,0.4"),
        ("labels.txt", "a bit sad  -0.8 .5 +0.4\nmeh\n", "'a bit sad' and numbers with spaces"),
        ("labels.json", '{"joy": 1', "a list of labels in UTF-8 was expected"),
        ("labels.json", "[3]", "a list of labels in UTF-8 was expected"),
    ],
)
def test_a_labels_file_that_is_none(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ExportError, match=words):
        labels.of_file(tmp_path / name, 2)
    with pytest.raises(ExportError, match="a list of labels in UTF-8 was expected"):
        labels.of_file(tmp_path / "absent.txt", 2)


def test_names_may_hold_numbers(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("class 1\n0.5\n")
    (tmp_path / "labels.json").write_text('["class 1 2", "b"]')
    assert labels.of_file(tmp_path / "labels.txt", 2).names == ("class 1", "0.5")
    assert labels.of_file(tmp_path / "labels.json", 2).names == ("class 1 2", "b")


def test_options_name_every_problem_at_once() -> None:
    with pytest.raises(ValueError, match=r"task: .*max_tokens: .*size_px: .*mean: .*std: "):
        families.Options(task="smell", max_tokens=0, size_px=-1, mean=(0.5, 0.5), std=(0.0,))
