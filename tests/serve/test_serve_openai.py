"""OpenAI's own client against the server: what it asks for is what it gets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import openai
import pytest
from affectrt.dialogue import Dialogue, Turn
from affectrt.serve import Server
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field
from serve_tools import ENDLESS, MODEL, finishes, until

HELLO = [{"role": "system", "content": "You are a kind friend."}, {"role": "user", "content": "I lost my keys."}]
OUR_ENDLESS = {
    "temperature": ENDLESS["temperature"],
    "top_p": ENDLESS["top_p"],
    "max_tokens": ENDLESS["max_tokens"],
    "extra_body": {"top_k": ENDLESS["top_k"], "repeat_penalty": ENDLESS["repeat_penalty"]},
}


def test_models(client):
    assert [model.id for model in client.models.list()] == [MODEL, "bge-small-en", "minilm-goemotions"]
    assert client.models.retrieve(MODEL).owned_by == "affectrt"
    with pytest.raises(openai.NotFoundError, match="not found; known: "):
        client.models.retrieve("gpt-9")


def test_an_answer_is_the_one_that_the_model_gives(client, dialogue):
    done = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=12)
    alone = dialogue.conversation(HELLO[0]["content"])
    reply = alone.reply(HELLO[1]["content"], sampling=_greedy(dialogue, 12))
    assert done.choices[0].message.content == reply.read()
    assert (done.choices[0].finish_reason, done.choices[0].message.role, done.object) == ("length", "assistant", "chat.completion")
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (reply.stats.prompt_tokens, 12)
    assert done.usage.total_tokens == done.usage.prompt_tokens + 12


def _greedy(dialogue, tokens):
    from dataclasses import replace

    return replace(dialogue.sampling, temperature=0.0, max_tokens=tokens)


def test_a_stream_says_the_same(client):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_completion_tokens=12)
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, temperature=0, max_tokens=12, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert len([text for text in texts if text]) > 3, "it came all at once"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 12
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_being_asked_a_stream_tells_no_usage(client):
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=2, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_seed_and_temperature_reach_the_model(client):
    def say(seed):
        done = client.chat.completions.create(model=MODEL, messages=HELLO, seed=seed, temperature=1.5, max_tokens=10)
        assert done.affectrt["seed"] == seed
        return done.choices[0].message.content

    assert say(7) == say(7)
    assert len({say(seed) for seed in range(4)}) > 1


def test_stop_ends_the_answer_and_is_not_in_it(client):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=24).choices[0].message.content
    stop = whole.split()[2]
    for value in (stop, [stop, "\x07"]):
        done = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=24, stop=value)
        assert done.choices[0].message.content == whole[: whole.index(stop)]
        assert done.choices[0].finish_reason == "stop"


def test_a_conversation_that_goes_on_is_in_the_cache(client, dialogue):
    messages = [{"role": "system", "content": "Du bist freundlich. " * 10}, {"role": "user", "content": "Hello there, my old friend!"}]
    first = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=10)
    # Others in between.
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Who are you?"}], max_tokens=4)
    answer = first.choices[0].message.content
    messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": "And now?"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=10)
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens

    # The same as where nothing was kept: but for how the answer's text is cut into tokens, which here is the same.
    alone = dialogue.conversation(messages[0]["content"], turns=[Turn(messages[1]["content"], answer)])
    assert second.choices[0].message.content == alone.reply("And now?", sampling=_greedy(dialogue, 10)).read()


def test_content_in_parts_and_messages_in_a_row_are_one(client):
    def say(messages):
        done = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=8)
        return done.choices[0].message.content, done.usage.prompt_tokens

    parts = [{"type": "text", "text": "I lost "}, {"type": "text", "text": "my keys."}]
    assert say([HELLO[0], {"role": "user", "content": parts}]) == say(HELLO)
    rows = [
        {"role": "developer", "content": "You are"},
        {"role": "system", "content": "kind."},
        *[{"role": "user", "content": t} for t in "ab"],
    ]
    assert say(rows) == say([{"role": "system", "content": "You are\n\nkind."}, {"role": "user", "content": "a\n\nb"}])


def test_a_later_system_message_reaches_the_model_before_the_words_that_follow_it(client, server, dialogue):
    messages = [
        *HELLO,
        {"role": "assistant", "content": "Oh."},
        {"role": "system", "content": "I look sad."},
        {"role": "user", "content": "So?"},
    ]
    done = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=8)
    alone = dialogue.conversation(HELLO[0]["content"], turns=[Turn(HELLO[1]["content"], "Oh.")])
    assert done.choices[0].message.content == alone.reply("So?", note="I look sad.", sampling=_greedy(dialogue, 8)).read()


class Feeling(BaseModel):
    """What the client wants to know."""

    emotion: Literal["joy", "sadness", "anger"]
    strength: int = Field(ge=0, le=10)


@pytest.mark.parametrize("more", [{}, {"temperature": 1.5, "seed": 3}])
def test_answers_in_the_form_of_a_schema(client, more):
    done = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Feeling, max_tokens=40, **more)
    assert isinstance(done.choices[0].message.parsed, Feeling) and done.choices[0].finish_reason == "stop"


def test_any_json_object(client):
    for stream in (False, True):
        done = client.chat.completions.create(
            model=MODEL, messages=HELLO, response_format={"type": "json_object"}, max_tokens=150, temperature=2, seed=1, stream=stream
        )
        if stream:
            chunks = list(done)
            text, finish = "".join(c.choices[0].delta.content or "" for c in chunks), chunks[-1].choices[0].finish_reason
        else:
            text, finish = done.choices[0].message.content, done.choices[0].finish_reason
        assert text.startswith("{") and (finish == "length" or isinstance(json.loads(text), dict))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", [{"extra_body": {"affect": True}}, {"extra_headers": {"X-Affect": "1"}}])
def test_affect_is_told_when_asked_for(client, text, stream, how):
    message = [{"role": "user", "content": "I finally passed the exam, I am so happy!"}]
    done = client.chat.completions.create(model=MODEL, messages=message, max_tokens=3, stream=stream, **how)
    affect = next(iter(done)).affect if stream else done.affect
    read = text(message[0]["content"])
    assert affect["person"]["label"] == read.label and affect["person"]["valence"] == pytest.approx(read.valence)
    assert affect["expression"]["name"] == "happy"
    quiet = client.chat.completions.create(model=MODEL, messages=message, max_tokens=3)
    assert not hasattr(quiet, "affect")


def test_affect_of_texts(client, text):
    told = client.post("/affect/text", body={"input": ["I am so happy!", "I lost my dog."]}, cast_to=object)
    assert [one["person"]["label"] for one in told["data"]] == [text(t).label for t in ("I am so happy!", "I lost my dog.")]
    assert sorted(told["data"][0]["person"]["probs"]) == sorted(text.labels)
    assert told["data"][1]["expression"]["name"] == "sad"


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_embeddings(client, embedding, form):
    texts = ["I lost my keys.", "My keys are gone."]
    done = client.embeddings.create(model="bge-small-en", input=texts, **({"encoding_format": form} if form else {}))
    vectors = [one.embedding for one in done.data]
    if form == "base64":
        import base64

        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    np.testing.assert_allclose(vectors, embedding(texts), atol=1e-6)
    assert done.usage.prompt_tokens == sum(embedding.token_count(one) for one in texts) == 14


def test_a_text_that_an_embedding_would_cut_is_refused(client):
    with pytest.raises(openai.BadRequestError, match=r"input\[1\] is longer than this model reads"):
        client.embeddings.create(model="bge-small-en", input=["Short.", "long " * 600])
    with pytest.raises(openai.BadRequestError, match="tokens of another model"):
        client.embeddings.create(model="bge-small-en", input=[[1, 2], [3]])
    with pytest.raises(openai.BadRequestError, match="dimensions: expected 384"):
        client.embeddings.create(model="bge-small-en", input="a", dimensions=64)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"temperature": 9}, r"temperature must be in \[0, 5\], got 9"),
        ({"top_p": 0}, r"top_p must be in \(0, 1\]"),
        ({"max_completion_tokens": 0}, "max_completion_tokens must be at least 1, got 0"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, r"max_tokens: expected the same as max_completion_tokens \(4\), got 3"),
        ({"n": 2}, r"n: expected 1 or nothing \(one answer a request\), got 2"),
        ({"logprobs": True}, "logprobs: expected false or nothing"),
        ({"presence_penalty": 0.5}, "presence_penalty: expected 0"),
        ({"logit_bias": {"7": 5}}, "logit_bias"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "there are no tools here"),
        ({"stop": ["a"] * 5}, "stop: expected at most 4 strings"),
        ({"stop": ""}, "stop: expected strings of at least one character"),
        ({"seed": -1}, "seed: expected an integer"),
        ({"stream_options": {"include_usage": True}}, "only with stream = true"),
        ({"extra_body": {"mirostat": 2}}, "'mirostat' is not a parameter here; known: affect, "),
        ({"store": True}, "nothing is stored here"),
    ],
)
def test_what_cannot_be_served_as_meant_is_refused(client, more, words):
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        client.chat.completions.create(
            model=MODEL, messages=HELLO, **{"max_tokens": 2, **more} if "max_completion_tokens" not in more else more
        )
    assert caught.value.param


def test_what_changes_nothing_is_taken(client):
    assert client.chat.completions.create(
        model=MODEL,
        messages=[{**HELLO[0], "name": None}, HELLO[1]],
        max_tokens=2,
        n=1,
        user="robot-7",
        logprobs=False,
        presence_penalty=0,
        frequency_penalty=0.0,
        tools=[],
        response_format={"type": "text"},
        metadata={"a": "b"},
        stop=None,
    )


def test_unknown_models_and_roles(client):
    with pytest.raises(openai.NotFoundError, match="expected smollm2-135m, which is served here, got 'gpt-9'") as caught:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"
    image = [{"type": "image_url", "image_url": {"url": "data:"}}]
    for messages, words in (
        ([{"role": "user", "content": image}], "this model reads text only"),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}], "expected one of system, developer, user, assistant"),
        ([{"role": "assistant", "content": "Hi!"}, *HELLO[1:]], r"messages\[0\]: expected a user's message before the first answer"),
        ([*HELLO, {"role": "assistant", "content": "I"}], "expected a user's message at the end, got one of assistant"),
        ([{**HELLO[1], "name": "Ann"}], r"messages\[0\].name: expected nothing"),
        ([], "messages: expected 1 to 512 messages, got a list of 0"),
        ([{"role": "user", "content": " "}], r"messages\[0\].content: expected text, got only blanks"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            client.chat.completions.create(model=MODEL, messages=messages)


def test_a_text_longer_than_the_context_is_an_error_and_a_long_history_is_not(dialogue):
    with (
        Dialogue(dialogue.pack, threads=1, device="cpu", context_tokens=256) as small,
        Server(small, port=0) as server,
        OpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        _overflow(client)


def _overflow(client):
    with pytest.raises(openai.BadRequestError, match="a context of 256 tokens takes a prompt of at most") as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "sea and wind " * 100}])
    assert caught.value.code == "context_length_exceeded"
    turns = [m for _ in range(6) for m in ({"role": "user", "content": "word " * 50}, {"role": "assistant", "content": "Yes."})]
    done = client.chat.completions.create(model=MODEL, messages=[*turns, HELLO[1]], max_tokens=2)
    assert done.affectrt["dropped_turns"] > 0 and done.usage.prompt_tokens < 256


def test_closing_a_stream_stops_the_model(client, server):
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **OUR_ENDLESS)
    assert [next(iter(stream)) for _ in range(3)]
    assert server.busy == (1, 0)
    stream.close()
    until(lambda: server.busy == (0, 0))
    assert finishes(server)[-1] == "cancelled"


def test_cancelling_an_async_request_stops_the_model_while_it_reads_the_prompt(server):
    async def ask_and_leave():
        async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            long = [{"role": "user", "content": "sea and wind and ships " * 280}]
            task = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=long, max_tokens=400))
            while server.busy == (0, 0):
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(ask_and_leave())
    until(lambda: server.busy == (0, 0))
    assert finishes(server)[-1] in ("cancelled", "")


KILLED = """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
stream = client.chat.completions.create(model="smollm2-135m", messages=[{"role": "user", "content": "Tell me a story."}], stream=True,
    temperature=5, top_p=1, max_tokens=1500, extra_body={"top_k": 0, "repeat_penalty": 1})
for chunk in stream:
    print(chunk.choices[0].delta.content, flush=True)
"""


def test_kill_9_of_a_client_stops_the_model(server, client):
    process = subprocess.Popen([sys.executable, "-c", KILLED, server.url], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() and process.stdout.readline()
        assert server.busy == (1, 0)
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: server.busy == (0, 0))
    assert finishes(server)[-1] == "cancelled"
    assert client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2).choices


def test_ten_clients_at_once_get_what_each_would_get_alone(serving):
    server = serving(limits={"running": 4, "waiting": 16})
    texts = [f"My name is {name}. Say my name." for name in ("Ann", "Bob", "Cy", "Dora", "Ed", "Flo", "Gus", "Hal", "Ida", "Jon")]

    def say(text, stream):
        with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
            done = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": text}], temperature=0, max_tokens=10, stream=stream
            )
            return "".join(c.choices[0].delta.content or "" for c in done) if stream else done.choices[0].message.content

    alone = [say(text, False) for text in texts]
    assert len(set(alone)) > 3
    start = threading.Barrier(10)

    def at_once(number):
        start.wait()
        return say(texts[number], number % 2 == 0)

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(at_once, range(10))) == alone


def test_too_many_are_told_to_come_again_and_the_client_does(serving):
    server = serving(limits={"running": 1, "waiting": 0})
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **OUR_ENDLESS)
        next(iter(stream))
        with pytest.raises(openai.InternalServerError, match="1 requests are being served and 0 wait: come again") as caught:
            client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
        assert caught.value.status_code == 503 and 1 <= int(caught.value.response.headers["retry-after"]) <= 60
        threading.Timer(0.2, stream.close).start()
        patient = client.with_options(max_retries=5)
        assert patient.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2).choices


def test_closing_the_server_ends_streams_with_an_error(serving):
    server = serving()
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **OUR_ENDLESS)
        next(iter(stream))
        closing = threading.Thread(target=server.close)
        closing.start()
        with pytest.raises(openai.APIError, match="the server is shutting down"):
            for _ in stream:
                pass
        closing.join(timeout=30)
        assert not closing.is_alive() and server.busy == (0, 0)
        with pytest.raises(openai.APIConnectionError):
            client.models.list()
