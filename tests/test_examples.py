"""The examples: each compiles, the pure parts of the ROS node are right, and the ten-line ones run as a user would run them."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import affectrt
import numpy as np
import pytest
from affectrt import FaceObservation
from affectrt.companion.talk import TALK, KeptTalk
from affectrt.labels import EXPRESSIONS, FER7

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PHOTO = Path(affectrt.__file__).parent / "data" / "astronaut.jpg"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def conversions() -> ModuleType:
    return load(EXAMPLES / "ros2" / "conversions.py")


def observation(**changes: object) -> FaceObservation:
    values: dict[str, object] = {
        "stamp_ns": 7,
        "box": np.array([-4, 10, 50, 90], np.float32),
        "key_points": np.zeros((6, 2), np.float32),
        "detection_score": 0.9,
        "track_id": 12,
        "label": "happy",
        "labels": FER7,
        "probs": np.full(7, 1 / 7, np.float32),
        "raw_probs": np.full(7, 1 / 7, np.float32),
        "valence": 0.8,
        "arousal": 0.5,
        "confidence": 0.7,
        "reason": "",
    }
    return FaceObservation(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda p: p.name)
def test_compiles(path: Path) -> None:
    compile(path.read_text(encoding="utf-8"), str(path), "exec")


def test_ros_node_uses_conversions_that_exist(conversions: ModuleType) -> None:
    """The node cannot be imported without ROS; what it takes from beside it and from affectrt can be checked."""
    tree = ast.parse((EXAMPLES / "ros2" / "affect_node.py").read_text(encoding="utf-8"))
    taken = {alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "conversions" for alias in n.names}
    assert taken and all(callable(getattr(conversions, name)) for name in taken)
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "affectrt"}
    assert used and all(hasattr(affectrt, name) for name in used)


def test_a_face_keeps_its_topics_for_a_second(conversions: ModuleType) -> None:
    second = 1_000_000_000
    lingering = conversions.Lingering()
    assert lingering.gone(["a", "b"], 5 * second) == []
    assert lingering.gone(["b"], 5 * second + second // 2) == []  # missed for a moment
    assert lingering.gone(["a"], 6 * second) == []  # and back
    assert lingering.gone([], 6 * second + second // 2 + 1) == ["b"]
    assert lingering.gone([], 7 * second) == []  # a second is not over a second; "b" was told
    assert lingering.gone([], 7 * second + 1) == ["a"]
    assert lingering.gone(["c"], 8 * second) == []
    assert lingering.gone([], 0) == ["c"]  # the clock was set back


def image(encoding: str, data: bytes, height: int, width: int, step: int) -> SimpleNamespace:
    return SimpleNamespace(encoding=encoding, data=data, height=height, width=width, step=step)


@pytest.mark.parametrize(("encoding", "channels"), [("rgb8", 3), ("bgra8", 4), ("mono8", 1), ("yuv422_yuy2", 2)])
@pytest.mark.parametrize("padding", [0, 5])
def test_frame_of(conversions: ModuleType, encoding: str, channels: int, padding: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4, 6, channels), dtype=np.uint8)
    rows = np.pad(pixels.reshape(4, -1), ((0, 0), (0, padding)))
    frame, color = conversions.frame_of(image(encoding, rows.tobytes(), 4, 6, rows.shape[1]))
    assert color == encoding
    assert np.array_equal(frame, pixels[..., 0] if channels == 1 else pixels)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (image("bayer_rggb8", b"\0" * 4, 2, 2, 2), "bayer_rggb8"),
        (image("rgb8", b"\0" * 11, 2, 2, 6), "11 bytes"),
        (image("rgb8", b"\0" * 12, 2, 2, 5), "step 5"),
    ],
)
def test_frame_of_refuses(conversions: ModuleType, message: SimpleNamespace, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        conversions.frame_of(message)


def test_stamp_and_id(conversions: ModuleType) -> None:
    assert conversions.stamp_ns(SimpleNamespace(sec=3, nanosec=5)) == 3_000_000_005
    assert conversions.face_id(observation()) == "f00012"


@pytest.mark.parametrize("label", FER7)
def test_expression_is_a_word_of_the_message(conversions: ModuleType, label: str) -> None:
    fields = conversions.expression_of(observation(label=label))
    assert fields["expression"] in EXPRESSIONS
    assert fields["confidence"] == 0.7


def test_unknown_expression_is_empty(conversions: ModuleType) -> None:
    fields = conversions.expression_of(observation(label=affectrt.UNKNOWN))
    assert (fields["expression"], fields["confidence"]) == ("", 0.0)


def test_region_is_clipped(conversions: ModuleType) -> None:
    region = conversions.region_of(observation(), width=100, height=80)
    assert region == {"xmin": 0.0, "ymin": 0.125, "xmax": 0.5, "ymax": 1.0, "c": 0.9}


def test_newest_frame_wins() -> None:
    newest = load(EXAMPLES / "python" / "camera.py").NewestFrame()
    for i in range(5):
        newest.put(np.full((1, 1, 3), i, np.uint8), i)
    frame, stamp_ns = newest.get()
    assert (frame[0, 0, 0], stamp_ns, newest.dropped) == (4, 4, 4)

    taken: list[object] = []
    waiting = threading.Thread(target=lambda: taken.append(newest.get()))
    waiting.start()
    time.sleep(0.05)
    assert taken == []
    newest.end()
    waiting.join(timeout=5)
    assert taken == [None]


# What an answer says is chance, and so is its length: up to 256 tokens, of which these tests look at the first words.
SHORT = "import affectrt, functools; affectrt.Companion.reply = functools.partialmethod(affectrt.Companion.reply, max_tokens=16)\n"
EXAMPLE = SHORT + "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def example(name: str, *arguments: str) -> list[str]:
    """The command that runs an example, with short answers."""
    return [sys.executable, "-c", EXAMPLE, str(EXAMPLES / "python" / name), *arguments]


def run(name: str, *arguments: str, text: str = "") -> str:
    command = example(name, *arguments)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["faces.py"], "usage: python faces.py PHOTO"),
        (["faces.py", __file__], "cannot be read as a picture"),
        (["companion.py", str(PHOTO)], "usage: python companion.py PHOTO"),
        (["companion.py", "nowhere.jpg", "Hello!"], "nowhere.jpg cannot be read as a picture"),
        (["talk.py"], "usage: python talk.py MEMORY WHO"),
        (["camera.py", "/dev/video99"], "/dev/video99: No such file or directory"),
        (["camera.py", __file__], f"{__file__}: Invalid data"),
    ],
)
def test_examples_say_what_they_miss(command: list[str], said: str) -> None:
    name, *arguments = command
    done = subprocess.run([sys.executable, str(EXAMPLES / "python" / name), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_companion_example_without_a_face(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")
    done = subprocess.run(example("companion.py", str(tmp_path / "wall.png"), "Hello!"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "no face in" in done.stderr and done.stdout.strip()


def test_faces_example() -> None:
    out = run("faces.py", str(PHOTO)).splitlines()
    assert len(out) == 1 and out[0].startswith("#1 happy ")


def test_text_example() -> None:
    out = run("text.py", text="I finally passed the exam!\nMy dog died last night.\n").splitlines()
    assert [line.split()[0] for line in out] != ["neutral", "neutral"]
    assert "valence=+" in out[0] and "valence=-" in out[1]


def test_python_of_the_readme(tmp_path: Path) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, "-c", SHORT + block], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 happy ") and len(done.stdout.splitlines()) >= 3


def test_agent_day_example(tmp_path: Path) -> None:
    """Sixteen events, each felt; good ones lift the mood, bad ones lower it; and a picture with something in it."""
    from PIL import Image

    picture = tmp_path / "day.png"
    lines = run("agent_day.py", str(picture)).splitlines()
    assert len(lines) == 16
    felt = {line[:5]: re.findall(r"([A-Z][A-Za-z-]+) \d+\.\d", line) for line in lines}
    assert felt["07:30"] == ["Love", "Joy"] and felt["12:40"] == ["Anger"] and felt["15:00"] == ["Relief"]
    assert "mood +0.5  withdraw" in lines[7] and lines[-1].endswith("help Ida")
    with Image.open(picture) as image:
        colors = image.convert("RGB").getcolors(2**24)
    assert colors is not None and len(colors) > 100


def test_companion_example() -> None:
    assert len(run("companion.py", str(PHOTO), "I finally passed the exam!").split()) >= 3


def test_talk_example_remembers_over_two_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "python" / "talk.py"), str(tmp_path / "robot.db")]
    told = "My dog Bruno died last week.\n\n"
    for partner, said, *sides in (
        ("anna", told, "remembers 0"),
        ("anna", "I miss my dog Bruno.\n", "remembers"),
        ("ben", "I miss my dog.\nI want to kill myself.\n", "remembers 0", "the guard, remembers 0"),
    ):
        done = subprocess.run([*command, partner], input=said, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert all(side in line for side, line in zip(sides, re.findall(".*remembers.*", done.stderr), strict=True))
    with affectrt.MemoryStore(tmp_path / "robot.db", read_only=True) as store:
        kept = {partner: sorted(memory.text.strip() for memory in store.memories(partner=partner)) for partner in store.partners()}
        talk = KeptTalk.from_bytes(store.load_blob(TALK, partner="anna").value)
    assert kept == {"anna": ["I miss my dog Bruno.", "My dog Bruno died last week."], "ben": ["I miss my dog."]}
    assert [turn.user.strip() for turn in talk.past.turns] == ["My dog Bruno died last week.", "I miss my dog Bruno."]  # gone on with
