"""What docs/serve.md shows runs as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from serve_tools import MODEL, chat

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"
BLOCKS = re.findall(r"```(python)?\n(.*?)```", PAGE, re.DOTALL)
PROGRAMS = [text for kind, text in BLOCKS if kind]
COMMANDS = [shlex.split(text) for kind, text in BLOCKS if not kind and text.startswith("curl ")]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs(server, program, capsys):
    exec(compile(program.replace(f"{ADDRESS}/v1", server.url), "docs/serve.md", "exec"), {})
    shown = re.findall(r"# (\w+ 0\.\d)", program)  # its first digit is the same on any processor
    out = capsys.readouterr().out
    assert out.strip() and all(one in out for one in shown)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_commands(server, command):
    program, silent, url, header, kind, data, body = command
    assert (program, silent, header, kind, data) == ("curl", "-s", "-H", "Content-Type: application/json", "-d")
    status, told = chat(server, body.encode(), url.removeprefix(ADDRESS))
    assert status == 200 and (told.get("data") or told["choices"][0]["message"]["content"])


def test_the_page_has_examples():
    assert len(PROGRAMS) == 3 and len(COMMANDS) == 2
    assert json.dumps(MODEL) in PAGE
