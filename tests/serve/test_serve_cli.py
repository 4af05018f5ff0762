"""`affectrt serve` as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import openai
import pytest
from affectrt.dialogue.guard import DEFAULT_ANSWERS
from affectrt.policy import Policy
from openai import OpenAI
from serve_tools import MODEL

HELLO = [{"role": "user", "content": "My word is Xanadu."}]


@pytest.fixture
def process():
    """Start the command line in a process of its own."""
    started = []

    def start(*arguments, **environment):
        command = [sys.executable, "-m", "affectrt", "serve", "--port", "0", "--threads", "1", *arguments]
        env = {name: value for name, value in os.environ.items() if name != "AFFECTRT_SERVE_TOKEN"} | environment
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def url_of(running):
    lines = []
    for line in running.stderr:
        lines.append(line)
        if found := re.search(r"http://127.0.0.1:\d+/v1", line):
            return found[0]
    raise AssertionError("".join(lines))


@pytest.mark.usefixtures("dialogue")
def test_it_serves_until_it_is_told_to_stop(process, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    running = process("--token-file", str(token), "--no-affect")
    url = url_of(running)
    with OpenAI(base_url=url, api_key="0123456789abcdef", max_retries=0) as client:
        assert client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2).choices
        with pytest.raises(openai.NotFoundError):
            client.post("/affect/text", body={"input": "a"}, cast_to=object)
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1500, temperature=5, stream=True)
        next(iter(stream))
        running.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="shutting down"):
            list(stream)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM and out == ""
    assert re.search(r"\d\d:\d\d:\d\d POST /v1/chat/completions 200 \d+ ms\n", err)
    assert "Xanadu" not in err and "0123456789abcdef" not in err and "Traceback" not in err


@pytest.mark.usefixtures("dialogue")
def test_ctrl_c_ends_it(process):
    running = process("--quiet", AFFECTRT_SERVE_TOKEN="0123456789abcdef")
    with OpenAI(base_url=url_of(running), api_key="wrong", max_retries=0) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and err.splitlines() == ["interrupted"]


@pytest.mark.usefixtures("dialogue")
@pytest.mark.parametrize(("options", "told"), [((), "no guard: .* --guard or --policy FILE"), (("--guard",), "guard: words of a crisis")])
def test_it_says_at_its_start_whether_there_is_a_guard(process, options, told):
    running = process("--no-affect", *options)
    assert re.match(told, next(line for line in running.stderr if "guard" in line))


@pytest.mark.usefixtures("dialogue")
def test_a_guard_by_the_rules_of_a_file_and_a_persona(process, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"disclose_every": 5, "on_claim": "rewrite", "audit": "audit.jsonl"}')
    running = process("--no-affect", "--persona", "calm", "--policy", str(policy))
    with OpenAI(base_url=url_of(running), api_key="none", max_retries=0) as client:
        crisis = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "I want to die."}])
        assert crisis.choices[0].message.content == DEFAULT_ANSWERS["self-harm"]
        hello = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
        assert hello.choices[0].message.content.startswith(Policy().disclosure(0))
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert kinds == ["opened", "crisis", "disclosed", "reply"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "{folder}/policy.json"), "error: {folder}/policy.json: on_claim: expected one of report, rewrite, stop, got 'x'\n"),
        (("--policy", "{folder}/none.json"), "error: --policy {folder}/none.json: expected a policy as JSON: No such file or directory\n"),
        (
            ("--token-file", "{folder}/none"),
            "error: --token-file {folder}/none: expected the file that holds the token: No such file or dir",
        ),
        (("--persona", "grumpy"), "error: persona must be one of warm, calm, cheerful, plain, or a description"),
    ],
)
def test_what_is_no_policy_or_persona_is_told_at_once(process, tmp_path, arguments, message):
    (tmp_path / "policy.json").write_text('{"on_claim": "x"}')
    running = process(*(argument.format(folder=tmp_path) for argument in arguments))
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1 and err.startswith(message.format(folder=tmp_path)) and len(err.splitlines()) == 1


def test_without_a_token_it_is_for_this_machine_only(process):
    running = process("--host", "0.0.0.0")
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.startswith("error: host 0.0.0.0 can be reached from other machines, so a token is required: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize(("mode", "told"), [(0o644, True), (0o600, False)])
def test_a_token_that_others_can_read_is_told(process, tmp_path, mode, told):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(mode)
    running = process("--token-file", str(token), "--persona", "grumpy")  # which ends it before the model is loaded
    _, err = running.communicate(timeout=60)
    assert (f"warning: {token} can be read by other users: chmod 600 {token}" in err) == told


@pytest.mark.usefixtures("dialogue")
def test_a_port_that_is_taken_names_the_option(process):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = process("--no-affect", "--port", str(port))
        _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert f"error: --port {port}: another program listens there on 127.0.0.1; --port 0 takes a free one\n" in err


WITHOUT = """
import sys
sys.modules["uvicorn"] = None
from affectrt.cli import main
sys.argv = ["affectrt", "serve"]
main()
"""


def test_without_the_extra_the_error_names_the_command():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == 'error: serving needs starlette and uvicorn, and uvicorn is not installed: pip install "affectrt[serve]"\n'
