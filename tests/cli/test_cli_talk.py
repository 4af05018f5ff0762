"""`demo` and `chat` with the real language model: what is printed where, how Ctrl-C ends an answer, what happens without the model."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from affectrt.cli.speak import cost, remembered
from cli_tools import Done
from PIL import Image

Cli = Callable[..., Done]
Process = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def pulled() -> None:
    """The default language model is in the cache."""
    from affectrt.packs import DEFAULTS, pull

    pull(DEFAULTS["dialogue"])


@pytest.mark.usefixtures("pulled")
def test_demo_needs_no_file_and_shows_everything(process: Process, here: Path) -> None:
    running = process("demo")
    out, err = (stream.decode() for stream in running.communicate(timeout=120))
    assert running.returncode == 0, err
    assert "face #1: happy" in out and "strongest movements: " in out and "it sounds" in out
    told, _, timings = out.partition("what it took")
    assert len(told.partition("Answer:")[2].split()) >= 3
    for step in ("load the face networks", "first frame", "second frame", "second sentence", "load the language model", "answer"):
        assert step in timings
    assert Image.open(here / "out/demo/face.png").size == (512, 512)
    assert Image.open(here / "out/demo/emotions.png").size[0] > 600


@pytest.mark.usefixtures("pulled")
def test_demo_for_machines(process: Process, here: Path) -> None:
    running = process("demo", "What a day!", "-o", "json")
    out, err = running.communicate(timeout=120)
    document = json.loads(out)
    assert running.returncode == 0 and document["complete"] and document["answer"].strip()
    assert document["faces"][0]["label"] == "happy" and document["text"]["text"] == "What a day!"
    assert b"face #1: happy" in err


def test_demo_without_the_model_shows_the_rest_and_the_command(process: Process, here: Path) -> None:
    # A cache that cannot hold anything: the pull fails as it does without a network.
    (here / "cache").write_text("a file where a folder was expected")
    running = process("demo", env={"AFFECTRT_CACHE_DIR": str(here / "cache")})
    out, err = (stream.decode() for stream in running.communicate(timeout=120))
    assert running.returncode == 1
    assert "face #1: happy" in out and (here / "out/demo/face.png").is_file()
    assert "second sentence" in out
    assert err.strip().splitlines()[-1].startswith("error: no answer: ") and "Traceback" not in err


def test_demo_without_llama_says_what_to_install(here: Path) -> None:
    code = "import sys; sys.modules['llama_cpp'] = None; sys.argv = ['affectrt', 'demo']; from affectrt.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "affectrt[dialogue]" in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("pulled")
def test_once_prints_the_answer_alone(cli: Cli) -> None:
    done = cli("chat", "--once", "Thank you so much!", "--seed", "1", "--threads", "1")
    assert done.code == 0 and len(done.out.split()) >= 3
    assert "sounds gratitude" in done.err and "tok/s" in done.err and "first token" in done.err
    again = json.loads(cli("chat", "--once", "Thank you so much!", "--seed", "1", "--threads", "1", "-o", "json").out)
    assert again["answer"] == done.out.rstrip("\n")
    assert again["valence"] > 0.2 and again["generated_tokens"] > 3 and again["ttft_ms"] > 0


@pytest.mark.usefixtures("pulled")
def test_a_talk_over_a_pipe(process: Process) -> None:
    running = process("chat", "--seed", "1", stdin=subprocess.PIPE)
    out, err = running.communicate(b"Hello!\n\n\xff\xfe\nI am sad today.\n", timeout=120)
    assert running.returncode == 1, err  # a line failed, as with `run -`
    assert err.count(b"tok/s") + err.count(b"first token") >= 2
    assert b"error: line 3: UTF-8 was expected" in err and b"Traceback" not in err
    said = [line for line in err.decode().splitlines() if line.startswith("> ")]
    assert said == ["> Hello!", "> I am sad today."] and out.strip() and b"> " not in out


@pytest.mark.usefixtures("pulled")
def test_rows_of_a_talk_over_a_pipe(cli: Cli) -> None:
    done = cli("chat", "--seed", "1", "--context-tokens", "256", "-o", "jsonl", stdin=f"Hello!\n{'very ' * 300}long\nI am sad today.\n")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 1 and [row["text"] for row in rows] == ["Hello!", "I am sad today."]
    assert all(row["answer"] for row in rows) and rows[1]["sounds"] == "sadness" and rows[1]["prompt_tokens"] > rows[0]["prompt_tokens"]
    assert "error: line 2: the text is" in done.err and "raise --context-tokens" in done.err
    assert cli("chat", "-o", "jsonl", stdin="").code == 0
    assert "--context-tokens must lie in" in cli("chat", "--once", "Hello", "--context-tokens", "7").err


@pytest.mark.usefixtures("pulled")
def test_more_threads_than_cores_are_told(cli: Cli) -> None:
    assert "warning: --threads 99: this process may use" in cli("chat", "--threads", "99", stdin="").err
    assert "warning" not in cli("chat", "--threads", "1", stdin="").err


@pytest.fixture
def talking(process: Process) -> Iterator[subprocess.Popen[bytes]]:
    """A chat that is in the middle of a long answer."""
    running = process("chat", "--seed", "3", stdin=subprocess.PIPE)
    assert running.stdin is not None and running.stdout is not None
    running.stdin.write(b"Tell me a very long story about a robot and its cat, with every detail.\n")
    running.stdin.flush()
    assert running.stdout.read(1)
    yield running
    running.kill()
    running.wait()


@pytest.mark.usefixtures("pulled")
def test_ctrl_c_stops_the_answer_and_the_talk_goes_on(talking: subprocess.Popen[bytes]) -> None:
    talking.send_signal(signal.SIGINT)
    assert talking.stdin is not None and talking.stderr is not None
    line = b""
    while b"cancelled" not in line:
        line = talking.stderr.readline()
        assert line, "the chat ended"
    _, err = talking.communicate(b"Thanks.\n", timeout=120)
    assert talking.returncode == 0 and b"first token" in err


@pytest.mark.usefixtures("pulled")
def test_ctrl_c_between_answers_leaves(talking: subprocess.Popen[bytes]) -> None:
    talking.send_signal(signal.SIGINT)
    assert talking.stderr is not None
    while b"cancelled" not in talking.stderr.readline():
        pass
    talking.send_signal(signal.SIGINT)
    _, err = talking.communicate(timeout=30)
    assert talking.returncode == 130 and err.strip().endswith(b"interrupted")


def test_what_does_not_go_together(cli: Cli) -> None:
    assert cli("chat", "-o", "json").code == 2
    for lone in (("--partner", "anna"), ("--key-file", "key")):
        done = cli("chat", *lone)
        assert done.code == 2 and "need --memory" in " ".join(done.err.replace("│", "").split())


@pytest.mark.usefixtures("pulled")
def test_errors_of_a_talk_are_lines(cli: Cli, tmp_path: Path) -> None:
    done = cli("chat", "--once", "hello", "--pack", "xception-fer7")
    assert done.code == 1 and "expected a pack for dialogue" in done.err
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    done = cli("chat", "--once", "hello", "--pack", tmp_path / "x.gguf", "--allow-unverified")
    assert done.code == 1 and "x.gguf" in done.err and "Traceback" not in done.err
    done = cli("chat", "--once", "hello", "--camera", "98")
    assert done.code == 1 and "no camera 98" in done.err


@pytest.mark.usefixtures("pulled")
def test_chat_remembers_over_runs(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from affectrt.packs import DEFAULTS, pull

    pull(DEFAULTS["text-embedding"])
    memory = tmp_path / "robot.db"
    talk = ("chat", "--threads", "1", "--seed", "1", "--once")
    assert cli(*talk, "My dog Bruno died last week, I am so sad.", "--memory", memory, "--partner", "anna").code == 0
    said = (*talk, "Do you remember my dog?", "-o", "json", "--memory", memory)
    assert json.loads(cli(*said, "--partner", "anna").out)["remembers"] == ["My dog Bruno died last week, I am so sad."]
    assert json.loads(cli(*said, "--partner", "ben").out)["remembers"] == []
    assert "nothing is kept of 'Anna' yet; there is of: anna, ben" in cli("chat", "--memory", memory, "--partner", "Anna", stdin="").err
    rows = json.loads(cli("memory", "list", memory, "-o", "json").out)
    assert [(row["partner"], row["text"][:6]) for row in rows] == [("ben", "Do you"), ("anna", "Do you"), ("anna", "My dog")]
    monkeypatch.setenv("AFFECTRT_MEMORY_KEY", "a long enough secret")
    done = cli(*said)
    assert done.code == 1 and "error:" in done.err


@pytest.mark.usefixtures("pulled")
def test_a_talk_that_goes_on_says_so(cli: Cli, tmp_path: Path) -> None:
    from affectrt.packs import DEFAULTS, pull

    pull(DEFAULTS["text-embedding"])
    talk = ("chat", "--seed", "1", "--short", "--memory", tmp_path / "robot.db", "--partner", "anna")
    first = cli(*talk, stdin="Hello, I am Anna.\n")
    assert first.code == 0 and "going on" not in first.err and "nothing is kept" not in first.err
    assert re.search(r"^going on with the talk of \d\d:\d\d, 1 turn$", cli(*talk, stdin="").err, re.MULTILINE)


def test_an_answer_that_was_cut_says_so() -> None:
    stats = SimpleNamespace(ttft_ms=None, decode_tok_s=None, generated_tokens=160, prompt_tokens=9, cached_tokens=0, cancelled=False)
    for finish, end in (("length", "(cut at 160 tokens)"), ("context", "(cut: the context is full)"), ("stop", "prompt 9 (0 cached)")):
        stats.finish = finish
        assert cost(stats).endswith(end)


def test_what_a_file_remembers_does_not_steer_the_terminal() -> None:
    memory = SimpleNamespace(text="I like\n\x1b[2Jsoup.")
    assert remembered([SimpleNamespace(memory=memory)]) == '; remembers "I like [2Jsoup."'
