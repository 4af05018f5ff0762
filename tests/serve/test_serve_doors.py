"""Who may come in, and what is told of it."""

from __future__ import annotations

import json
import logging

import openai
import pytest
from affectrt.serve import Limits, Server
from affectrt.serve.settings import read_token
from openai import OpenAI
from serve_tools import MODEL, ask, chat, exchange, head, post

TOKEN = "0123456789abcdef0123"
BODY = json.dumps(ask()).encode()


@pytest.fixture
def locked(serving):
    return serving(token=TOKEN)


def test_a_token_is_asked_for(locked):
    with OpenAI(base_url=locked.url, api_key=TOKEN, max_retries=0) as client:
        assert client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi!"}], max_tokens=2).choices
    for wrong in ("none", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
        with OpenAI(base_url=locked.url, api_key=wrong, max_retries=0) as client:
            for call in (
                lambda: client.models.list(),
                lambda: client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi!"}]),
                lambda: client.embeddings.create(model="bge-small-en", input="a"),
            ):
                with pytest.raises(openai.AuthenticationError, match="expected the header Authorization: Bearer TOKEN, got another token"):
                    call()


@pytest.mark.parametrize("value", ["", TOKEN, f"Basic {TOKEN}", f"Bearer{TOKEN}", "Bearer", f"Bearer {TOKEN} x", f"Bearer {TOKEN}\xe9"])
def test_other_ways_to_give_it_are_none(locked, value):
    status, headers, _ = exchange(locked, post("/v1/chat/completions", BODY, Authorization=value))
    assert status == 401 and headers["www-authenticate"] == "Bearer"


def test_two_tokens_are_none(locked):
    twice = post("/v1/chat/completions", BODY, Authorization=f"Bearer {TOKEN}", authorization=f"Bearer {TOKEN}x")
    assert exchange(locked, twice)[0] == 401


def test_nothing_is_told_without_it(locked):
    for path in ("/v1/models", "/v1/none", "/"):
        status, _, body = exchange(locked, head("GET", path, {"Host": "localhost", "Connection": "close"}))
        assert status == 401 and MODEL.encode() not in body and b"chat" not in body
    status, _, body = exchange(locked, head("GET", "/healthz", {"Host": "localhost", "Connection": "close"}))
    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:9", "[::1]:8", "192.168.0.7", "robot.local", "Robot.local.:80"]
)
def test_names_under_which_it_may_be_asked_for(serving, host):
    assert exchange(serving(names=["robot.local"]), post("/v1/chat/completions", BODY, Host=host))[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[evil]", "a@localhost", "localhost,evil", "0x7f.1"]
)
def test_names_that_are_made_to_lead_here_are_refused(server, host):
    for path in ("/v1/chat/completions", "/healthz"):
        status, _, body = exchange(server, post(path, BODY, Host=host))
        assert status == 403 and "Host: expected an address, localhost, got" in json.loads(body)["error"]["message"]


def test_a_request_without_a_host_or_with_two(server):
    assert exchange(server, post("/v1/chat/completions", BODY, Host=""))[0] == 400
    assert exchange(server, b"POST /v1/models HTTP/1.0\r\n\r\n")[0] == 403
    assert exchange(server, post("/v1/chat/completions", BODY, host="localhost"))[0] == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1234", "http://127.0.0.1", ""])
def test_pages_of_other_origins_are_refused(server, origin):
    data = head(
        "POST",
        "/v1/affect/text",
        {"Host": "localhost", "Origin": origin, "Content-Type": "application/json", "Content-Length": "14", "Connection": "close"},
    )
    assert exchange(server, data + b'{"input": "a"}')[0] == 403


def test_a_page_of_its_own_origin_is_not(server):
    data = post("/v1/affect/text", b'{"input": "a"}', Host="localhost:80", Origin="http://localhost:80")
    assert exchange(server, data)[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_what_a_form_of_any_page_could_send_is_refused(server, kind):
    status, _, body = exchange(server, post("/v1/chat/completions", BODY, Content_Type=kind))
    assert status == 415 and b"expected application/json, got" in body


def test_a_refusal_reaches_who_is_still_sending(locked):
    status, _, body = exchange(locked, post("/v1/chat/completions", b"x" * 8_000_000))
    assert status == 401 and json.loads(body)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_addresses_need_a_token(dialogue, host):
    with pytest.raises(ValueError, match="can be reached from other machines, so a token is required"):
        Server(dialogue, host=host, port=0)
    Server(dialogue, host="0.0.0.0", port=0, token=TOKEN).close()


def test_other_loopback_addresses_need_none(dialogue):
    for host in ("localhost", "127.0.0.2", "::1"):
        Server(dialogue, host=host, port=0).close()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"token": "short"}, ValueError, "at least 16 characters"),
        ({"token": ""}, ValueError, "this one has 0"),
        ({"token": "a b" * 10}, ValueError, "visible ASCII"),
        ({"token": "ä" * 20}, ValueError, "visible ASCII"),
        ({"token": b"0" * 20}, TypeError, "token must be a str, got bytes"),
        ({"host": ""}, ValueError, "host must be an address"),
        ({"host": 7}, TypeError, "host must be a str"),
        ({"port": "80"}, TypeError, "port must be an int"),
        ({"port": 70000}, ValueError, r"\[0, 65535\], got 70000"),
        ({"host": "no.such.host.invalid"}, OSError, "[Nn]ame|[Aa]ddress|resol"),
    ],
)
def test_bad_settings(dialogue, settings, error, words):
    with pytest.raises(error, match=words) as caught:
        Server(dialogue, **{"port": 0, **settings})
    assert "short" not in str(caught.value)


def test_bad_limits():
    with pytest.raises(ValueError, match=r"running must be at least 1, got 0; body_s must be at least 0.001, got nan"):
        Limits(running=0, body_s=float("nan"))
    with pytest.raises(TypeError, match=r"messages must be an int, got 2\.0"):
        Limits(messages=2.0)
    with pytest.raises(TypeError, match="kept must be an int, got True"):
        Limits(kept=True)


def test_a_port_that_is_taken(dialogue, server):
    with pytest.raises(OSError, match="in use"):
        Server(dialogue, port=int(server.url.rsplit(":", 1)[1].split("/")[0]))


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("AFFECTRT_SERVE_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("AFFECTRT_SERVE_TOKEN", "from the environment")
    assert read_token(None) == "from the environment"
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert read_token(file) == TOKEN
    file.write_text("\n")
    with pytest.raises(ValueError, match="expected a token, got an empty file"):
        read_token(file)


def test_the_log_holds_nothing_of_what_was_said(server, caplog):
    secret = "Xanadu"
    with caplog.at_level(logging.DEBUG):
        assert chat(server, ask(f"My word is {secret}."))[0] == 200
        assert chat(server, ask(secret, stop=[secret], seed=-1))[0] == 400
        assert chat(server, {"model": secret, secret: secret})[0] == 404
        assert chat(server, f'{{"input": "{secret}"'.encode(), "/v1/affect/text")[0] == 400
        assert exchange(server, head("GET", f"/{secret}?q={secret}", {"Host": "localhost", "X-A": secret, "Connection": "close"}))[0] == 404
    lines = [record.getMessage() for record in caplog.records if record.name == "affectrt.serve"]
    assert len(lines) == 5 and lines[0].startswith("POST /v1/chat/completions 200 ") and lines[-1].startswith("GET (another path) 404 ")
    assert secret not in caplog.text


def test_a_failure_of_ours_tells_neither_the_client_nor_the_log_what_was_said(serving, monkeypatch, caplog):
    server = serving()

    def fail(*_):
        raise RuntimeError("while reading 'Xanadu'")

    monkeypatch.setattr(server._service, "read_affect", fail)
    with caplog.at_level(logging.DEBUG):
        status, told = chat(server, ask("Xanadu", affect=True))
    assert status == 500 and told["error"]["type"] == "server_error"
    assert "unexpected RuntimeError at " in caplog.text and "Xanadu" not in caplog.text + json.dumps(told)

    monkeypatch.setattr(server._service.kept, "take", fail)
    with caplog.at_level(logging.DEBUG):
        for stream in (False, True):
            status, told = chat(server, ask("Xanadu", stream=stream))
            assert status == 500 and "Xanadu" not in caplog.text + json.dumps(told)
    assert server.busy == (0, 0)
