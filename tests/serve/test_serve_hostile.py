"""Bytes from strangers: malformed, huge, slow, half-sent. Each gets an error that says why, and the next client is served as ever."""

from __future__ import annotations

import json
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve_tools import answer, ask, chat, connect, endless, exchange, finishes, head, post, until


@pytest.fixture(autouse=True)
def serves_on(server):
    """Whatever a test did, the server answers afterwards, and nothing of the test is left running."""
    yield
    until(lambda: server.busy == (0, 0))
    status, body = chat(server, ask())
    assert status == 200 and body["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body must be JSON: an empty body"),
        (b"{", "the body must be JSON: Expecting property name"),
        (b"\xff\xfe{}", "the body must be UTF-8; byte 0 is not"),
        (b"[]", "body: expected an object, got a list of 0"),
        (b'"chat"', "body: expected an object, got the string 'chat'"),
        (b'{"model": NaN}', "the body must be JSON, which has no NaN"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "the body must be JSON: Exceeds the limit"),
        (b'{"model": "a", "model": "b"}', "'model' stands twice in an object"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"a":' * 100_000, "the body is nested too deeply"),
        (b"{}", "model: expected a string, got nothing"),
    ],
)
def test_what_is_no_request(server, body, words):
    status, told = chat(server, body)
    assert status == 400 and words in told["error"]["message"]
    assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"messages": "hi"}, "messages: expected a list, got the string 'hi'"),
        ({"messages": [7]}, "messages[0]: expected an object, got 7"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: expected a string, or a list of parts, got null"),
        ({"messages": [{"role": 1, "content": "a"}]}, "messages[0].role: expected a string, got 1"),
        ({"messages": [{"role": "user", "content": "a", "x": 1}]}, "'messages[0].x' is not a parameter here"),
        (
            {"messages": [{"role": "user", "content": "a\ud800b"}]},
            "messages[0].content: expected valid text, found the lone surrogate U+D800 at index 1",
        ),
        ({"messages": [{"role": "user", "content": "a\0"}]}, "found NUL at index 1"),
        ({"messages": [{"role": "assistant", "content": "\udfff"}, {"role": "user", "content": "a"}]}, "lone surrogate U+DFFF"),
        ({"messages": [{"role": "system", "content": "\udfff"}, {"role": "user", "content": "a"}]}, "lone surrogate U+DFFF"),
        ({"messages": [{"role": "user", "content": "a"}] * 513}, "expected 1 to 512 messages, got a list of 513"),
        ({"max_tokens": 2.5}, "max_tokens: expected an integer, got 2.5"),
        ({"max_tokens": True}, "max_tokens: expected an integer, got true"),
        ({"max_tokens": -(10**40)}, "max_tokens must be at least 1"),
        ({"temperature": "hot"}, "temperature: expected a number, got the string 'hot'"),
        ({"temperature": 10**400}, "temperature"),
        ({"top_k": 10**30}, "top_k"),
        ({"stream": 1}, "stream: expected a boolean, got 1"),
        ({"n": True}, "n: expected 1 or nothing"),
        ({"stop": [[]]}, "stop: expected a string or a list of strings"),
        ({"stop": ["\ud800"]}, "lone surrogate"),
        ({"model": "\ud800"}, "which is served here, got '\\ud800'"),
        ({"\ud800": 1}, "'\\ud800' is not a parameter here"),
        ({"response_format": {"type": "xml"}}, 'response_format.type: expected "text", "json_object" or "json_schema", got the string'),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: expected an object, got nothing"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": "a"}}}},
            "json_schema.schema: ",
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}}, "json_schema.schema: "),
        ({"response_format": {"type": "text", "json_schema": {}}}, "'response_format.json_schema' is not a parameter here"),
        ({"affect": "yes"}, "affect: expected a boolean"),
    ],
)
def test_what_is_no_chat(server, more, words):
    status, told = chat(server, ask(**more))
    assert status in (400, 404) and words in told["error"]["message"]


def test_null_is_as_if_left_out(server):
    nothing = dict.fromkeys(("top_p", "max_completion_tokens", "stop", "seed", "n", "stream", "tools", "affect", "user"))
    assert chat(server, ask(**nothing))[1]["choices"] == chat(server, ask())[1]["choices"]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/affect/text"])
def test_bad_texts(server, path):
    base = {"model": {"/v1/embeddings": "bge-small-en", "/v1/affect/text": "minilm-goemotions"}[path]}
    for value, words in (
        (None, "input: expected a string or a list of strings, got null"),
        (7, "got 7"),
        ("", "input: expected text, got an empty string"),
        (["a", " "], "input[1]: expected text, got only blanks"),
        (["a"] * 257, "expected 1 to 256 strings, got a list of 257"),
        ([], "expected 1 to 256 strings"),
        (["a", None], "a list of strings"),
        ("\ud800", "lone surrogate"),
    ):
        status, told = chat(server, {**base, "input": value}, path)
        assert status == 400 and words in told["error"]["message"], (value, told)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "text", "", "a"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
names = [
    "messages",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "n",
    "stream_options",
    "response_format",
    "tools",
    "logit_bias",
    "user",
    "affect",
    "x",
    "metadata",
]


@settings(max_examples=150)
@given(more=st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=4))
def test_any_json_gets_an_answer_of_the_known_shape(server, more):
    status, told = chat(server, {**ask(), **more, "max_tokens": 1})
    assert (status, set(told)) in ((400, {"error"}), (404, {"error"}), (200, set(told)))
    if status != 200:
        assert set(told["error"]) == {"message", "type", "param", "code"} and told["error"]["message"]


@settings(max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes_as_a_body(server, data):
    status, told = chat(server, data)
    assert status == 400 and told["error"]["message"]


@settings(max_examples=40)
@given(data=st.binary(min_size=1, max_size=300))
def test_any_bytes_instead_of_http(server, data):
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        status, _, _ = answer(connection)
    assert status in (0, 400, 403)


@pytest.mark.parametrize("length", ["2000000", None])
def test_a_body_that_is_too_long(server, length):
    """With its length said, and in chunks."""
    if length:
        data = post("/v1/chat/completions", b"x" * int(length))
    else:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        data = post("/v1/chat/completions", b"", Content_Length="", Transfer_Encoding="chunked") + chunk * 30 + b"0\r\n\r\n"
    status, _, body = exchange(server, data)
    assert status == 413 and b"at most 1048576 bytes" in body


def test_a_body_that_never_ends_is_not_taken_in(server):
    with connect(server) as connection:
        connection.sendall(post("/v1/chat/completions", b"", Content_Length="", Transfer_Encoding="chunked"))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(4000):
                connection.sendall(chunk)
            pytest.fail("the server took in 250 MB")


def test_a_head_that_is_too_long(server):
    status, _, _ = exchange(server, post("/v1/chat/completions", b"{}", X_Long="x" * 40_000))
    assert status in (0, 400)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/chat/completions"), ("DELETE", "/v1/models"), ("OPTIONS", "/v1/models"), ("PUT", "/healthz")]
)
def test_wrong_methods(server, method, path):
    status, headers, body = exchange(server, head(method, path, {"Host": "localhost", "Connection": "close", "Origin": "http://localhost"}))
    assert status == 405 and "method not allowed" in json.loads(body)["error"]["message"]
    assert "access-control-allow-origin" not in headers


def test_paths_that_are_none(server):
    for path in ("/", "/v1/chat/completions/", "//v1/models", "/v1/../v1/models", "/v1/models/%2e%2e", "/%00", "/" + "a" * 3000):
        status, _, body = exchange(server, head("GET", path, {"Host": "localhost", "Connection": "close"}))
        assert status == 404 and "not found" in json.loads(body)["error"]["message"]


def test_requests_on_one_connection_one_after_the_other_and_all_at_once(server):
    one = post("/v1/affect/text", b'{"input": "I am happy!"}', Connection="keep-alive")
    last = post("/v1/affect/text", b'{"input": "I am happy!"}')
    with connect(server) as connection:
        connection.sendall(one + one + last)
        data = bytearray()
        while chunk := connection.recv(65536):
            data += chunk
    assert data.count(b"HTTP/1.1 200 OK") == 3


def test_a_client_that_sends_no_head_or_no_body_is_left(serving):
    server = serving(limits={"header_s": 0.3, "body_s": 0.3, "keep_alive_s": 1})
    begun = post("/v1/affect/text", b'{"input": "I am happy!"}')
    with connect(server) as silent, connect(server) as slow, connect(server) as bodiless, connect(server) as second:
        slow.sendall(begun[:20])
        bodiless.sendall(begun[:-5])
        second.sendall(post("/v1/affect/text", b'{"input": "I am happy!"}', Connection="keep-alive"))
        data = second.recv(65536)
        while not data.endswith(b"}"):
            data += second.recv(65536)
        assert b"200 OK" in data
        second.sendall(begun[:20])  # the next request on the same connection, and no further
        assert answer(silent)[0] == answer(slow)[0] == answer(second)[0] == 0
        status, _, body = answer(bodiless)
        assert status == 408 and b"did not come within 0.3 s" in body
    until(lambda: not server._uvicorn.server_state.connections)


def test_dribbling_does_not_prolong_the_time_for_a_head(serving):
    server = serving(limits={"header_s": 0.5})
    with connect(server) as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(200):
            connection.sendall(b"G" if _ == 0 else b"E")
            time.sleep(0.05)


def test_who_leaves_without_a_word_while_it_waits_loses_only_its_own_place(serving):
    server = serving(limits={"running": 1, "waiting": 2})
    with connect(server) as first:
        first.sendall(post("/v1/chat/completions", json.dumps({**endless(), "stream": True}).encode()))
        while b'"delta":{"content":' not in first.recv(65536):
            pass
        assert server.busy == (1, 0)
        with connect(server) as second, connect(server) as third:
            second.sendall(post("/v1/chat/completions", json.dumps(ask()).encode()))
            until(lambda: server.busy == (1, 1))
            third.sendall(post("/v1/chat/completions", json.dumps(ask()).encode()))
            until(lambda: server.busy == (1, 2))
            second.close()
            until(lambda: server.busy == (1, 1))
            first.close()
            assert answer(third)[0] == 200
    until(lambda: server.busy == (0, 0))
    assert "cancelled" in finishes(server)


def test_nobody_waits_longer_than_the_patience(serving):
    server = serving(limits={"running": 1, "patience_s": 0.3})
    with connect(server) as first:
        first.sendall(post("/v1/chat/completions", json.dumps(endless()).encode()))
        until(lambda: server.busy == (1, 0))
        status, headers, body = exchange(server, post("/v1/chat/completions", json.dumps(ask()).encode()))
        assert status == 503 and int(headers["retry-after"]) >= 1 and b"no turn came within 0.3 s" in body


def test_a_client_that_does_not_read_stops_nobody(serving, dialogue):
    """It holds its place only while its answer is made; what is not read is broken off."""
    server = serving(limits={"running": 1, "write_s": 0.5})
    with connect(server) as hung:
        hung.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        hung.sendall(post("/v1/chat/completions", json.dumps({**ask(), **{"stream": True, "max_tokens": 40}}).encode()))
        assert chat(server, ask())[0] == 200
    # Now with answers so large that neither the kernel nor the server has room for them.
    many = json.dumps({"model": "bge-small-en", "input": ["word"] * 256}).encode()
    with connect(server) as hung:
        hung.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        hung.sendall(post("/v1/embeddings", many, Connection="keep-alive") * 6)
        until(lambda: len(server._uvicorn.server_state.connections) == 1)
        assert chat(server, ask())[0] == 200
        until(lambda: not server._uvicorn.server_state.connections)


def test_half_a_request_and_gone(server):
    for cut in (1, 30, 90, -1):
        with connect(server) as connection:
            connection.sendall(post("/v1/chat/completions", json.dumps(ask()).encode())[:cut])


def test_no_more_connections_than_allowed(serving):
    server = serving(limits={"connections": 4})
    with connect(server), connect(server), connect(server), connect(server):
        until(lambda: len(server._uvicorn.server_state.connections) == 4)
        status, _, _ = exchange(server, post("/v1/chat/completions", json.dumps(ask()).encode()))
        assert status == 503
    until(lambda: not server._uvicorn.server_state.connections)
    assert chat(server, ask())[0] == 200
