"""What is measured on a machine, what is chosen of it, and who uses it."""

from __future__ import annotations

import json
import logging
import math

import pytest
from affectrt.dialogue import Dialogue, native, tuned
from affectrt.dialogue.tune import ROUNDS, thread_counts, tune
from affectrt.dialogue.tuned import GATES, Rate, candidates, decide, fastest, find
from affectrt.errors import PackError
from affectrt.packs import Pack, open_pack
from hypothesis import given
from hypothesis import strategies as st

DECODE = {4: 10.0, 3: 30.0, 2: 20.0, 1: 5.0}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, in which nothing was measured yet, and a machine of four cores."""
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("AFFECTRT_TUNED")
    monkeypatch.setattr(native, "default_threads", lambda: 4)
    monkeypatch.setattr(native, "most_threads", lambda: 4)
    return tmp_path / "cache"


def by_threads(_variant, threads):
    return 100.0, DECODE[threads]


def small(pack, **options):
    return Dialogue(pack, device="cpu", context_tokens=128, **options)


@pytest.fixture
def several(dialogue_pack, tmp_path):
    """The default pack with four variants, all of the one file."""

    def figures(ratio, divergence):
        return [{"metric": metric, "data": "talk", "value": value} for metric, value in zip(GATES, (ratio, divergence), strict=True)]

    folder = tmp_path / "several"
    folder.mkdir()
    for path in dialogue_pack.path.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(dialogue_pack.path)).parent.mkdir(exist_ok=True)
            (folder / path.relative_to(dialogue_pack.path)).write_bytes(path.read_bytes())
    manifest = json.loads((folder / "pack.json").read_text())
    first = manifest["variants"][0]
    others = {"q8_0": figures(1.05, 0.1), "q4_0": figures(1.051, 0.0), "q6_k": figures(1.0, 0.11), "q5_k_m": figures(1.0, 0.0)[:1]}
    manifest["variants"] += [{**first, "name": name, "precision": name, "measured": measured} for name, measured in others.items()]
    (folder / "pack.json").write_text(json.dumps(manifest))
    return tuned_pack(folder, dialogue_pack)


def tuned_pack(folder, pulled):
    from affectrt import _core
    from affectrt.packs.pack import pack_of

    return pack_of(_core.Pack.open(folder, remote_files=pulled.variant().path.parents[1]), str(folder))


def test_the_real_model_is_measured_and_a_dialogue_takes_the_result(dialogue_pack, cache, monkeypatch):
    monkeypatch.setattr(native, "default_threads", lambda: 2)
    monkeypatch.setattr(native, "most_threads", lambda: 2)
    steps = []
    found = tune(dialogue_pack, device="cpu", max_seconds=0.01, progress=lambda done, of: steps.append((done, of)))
    assert [(rate.variant, rate.threads) for rate in found.results] == [("q4_1", 2), ("q4_1", 1)]
    # Of 135M parameters, on anything that runs the tests; a prompt is no slower than an answer by much.
    assert all(1 < rate.decode_tok_s < 5000 and 1 < rate.prompt_tok_s < 50_000 for rate in found.results)
    assert (found.rounds, steps) == (1, [(1, 2 * ROUNDS), (2, 2 * ROUNDS)])
    assert found.models == {"q4_1": dialogue_pack.manifest["files"][1]["sha256"]}
    (file,) = (cache / "tuned").iterdir()
    assert json.loads(file.read_text()) == tuned.document(found)
    assert find(dialogue_pack) == find(dialogue_pack, "cpu") == found
    with small(dialogue_pack) as dialogue:
        assert (dialogue.threads, dialogue.info.tuned) == (found.best.threads, True)
        assert dialogue.ask("Hello!", max_tokens=2)


def test_what_is_named_wins_over_what_was_measured(dialogue_pack, monkeypatch):
    with small(dialogue_pack) as dialogue:
        assert (dialogue.info.threads, dialogue.info.tuned) == (4, False)
    assert tune(dialogue_pack, device="cpu", measure=by_threads).best == Rate("q4_1", 3, 100.0, 30.0)
    with small(dialogue_pack) as dialogue:
        assert (dialogue.info.threads, dialogue.info.tuned) == (3, True)
        dialogue.threads = 2
        assert (dialogue.info.threads, dialogue.info.tuned) == (2, False)
    with small(dialogue_pack, threads=1) as dialogue:
        assert (dialogue.info.threads, dialogue.info.tuned) == (1, False)
    monkeypatch.setenv("AFFECTRT_TUNED", "off")
    with small(dialogue_pack) as dialogue:
        assert (dialogue.info.threads, dialogue.info.tuned) == (4, False)


def test_only_variants_that_passed_the_packs_gates_are_candidates(several):
    assert [variant.name for variant in candidates(several)] == ["q4_1", "q8_0"]


def test_the_gates_are_those_of_the_export():
    from affectrt_export.gguf.ladder import Limits

    assert (Limits().perplexity_ratio, Limits().kl_mean) == tuple(GATES.values())


def test_the_fastest_variant_is_taken_and_a_named_one_has_its_own_threads(several):
    decode = {("q4_1", 2): 30.0, ("q8_0", 3): 40.0, ("q8_0", 1): 35.0}
    tune(several, device="cpu", measure=lambda variant, threads: (100.0, decode.get((variant.name, threads), 5.0)))

    def choice(precision="auto", threads=0):
        found = decide(several, precision, threads, "cpu")
        return found and (found.variant, found.threads)

    assert choice() == ("q8_0", 3)
    assert choice("q4_1") == ("q4_1", 2)
    assert choice(threads=2) == ("q4_1", 2)
    assert choice(threads=7) is None  # that was not measured
    assert choice("q4_0") is None  # nor that
    assert choice("q8_0", 1) is None  # nothing is left open
    with small(several) as dialogue:
        assert (dialogue.precision, dialogue.threads, dialogue.info.tuned) == ("q8_0", 3, True)


rates = st.floats(0.1, 1000)
results = st.lists(
    st.builds(Rate, st.sampled_from(("a", "b")), st.integers(1, 64), rates, rates), min_size=1, unique_by=lambda r: (r.variant, r.threads)
)


@given(results)
def test_no_other_is_faster_by_more_than_three_percent_nor_as_fast_with_fewer_threads(found):
    chosen = fastest(found)
    top = max(rate.decode_tok_s for rate in found)
    assert chosen in found and chosen.decode_tok_s >= 0.97 * top
    best = next(rate for rate in found if rate.decode_tok_s == top)
    for other in found:
        near = other.decode_tok_s >= 0.97 * top and other.prompt_tok_s >= 0.97 * best.prompt_tok_s
        assert not (near and other.threads < chosen.threads)
    assert chosen.threads <= best.threads


def test_fewer_threads_are_not_taken_where_prompts_would_suffer():
    alike, slow = Rate("a", 2, 99.0, 49.0), Rate("a", 1, 60.0, 49.5)
    assert fastest([Rate("a", 4, 100.0, 50.0), alike, slow]) is alike


@given(st.integers(1, 256), st.integers(1, 4))
def test_few_numbers_of_threads_are_tried_the_physical_cores_first(physical, siblings):
    tried = thread_counts(physical, physical * siblings)
    assert tried[0] == physical and 1 in tried and physical * siblings in tried
    assert len(set(tried)) == len(tried) <= 6
    assert all(1 <= count <= physical * siblings for count in tried)


@pytest.mark.parametrize(("max_seconds", "rounds"), [(0.001, 1), (7.9, 1), (8, 2), (15.9, 3), (1e9, ROUNDS)])
def test_whole_rounds_as_many_as_there_is_time_for_and_the_order_turns(dialogue_pack, monkeypatch, max_seconds, rounds):
    now, order = [0.0], []

    def measure(_variant, threads):
        now[0] += 1.0
        order.append(threads)
        return 1.0, 1.0

    monkeypatch.setattr("affectrt.dialogue.tune.time.monotonic", lambda: now[0])
    assert tune(dialogue_pack, device="cpu", max_seconds=max_seconds, measure=measure).rounds == rounds
    assert order == ([4, 3, 2, 1, 1, 2, 3, 4] * ROUNDS)[: 4 * rounds]


def test_a_disturbed_round_does_not_decide(dialogue_pack):
    runs = []

    def measure(_variant, threads):
        runs.append(threads)
        return (1e-3, 1e-3) if len(runs) % 5 == 0 else by_threads(_variant, threads)

    assert tune(dialogue_pack, device="cpu", measure=measure).best.threads == 3


@pytest.mark.parametrize("value", ["cpu", "cores", "llama_cpp_python", "device"])
def test_it_holds_for_this_machine_alone(dialogue_pack, monkeypatch, value):
    found = tune(dialogue_pack, device="cpu", measure=by_threads)
    there = tuned.this_machine
    assert find(dialogue_pack) == found
    monkeypatch.setattr(tuned, "this_machine", lambda device: {**there(device), value: 3})
    assert find(dialogue_pack) is None


def test_a_file_under_the_name_of_another_machine_is_passed_over(dialogue_pack, cache, monkeypatch, caplog):
    tune(dialogue_pack, device="cpu", measure=by_threads)
    (file,) = (cache / "tuned").iterdir()
    monkeypatch.setattr(tuned, "_cpu_name", lambda: "another")
    tune(dialogue_pack, device="cpu", measure=by_threads)
    (other,) = set((cache / "tuned").iterdir()) - {file}
    other.write_bytes(file.read_bytes())
    assert find(dialogue_pack) is None
    assert "is passed over: expected affectrt-tuned/1 of this machine and model" in caplog.text


GOOD = {
    "schema": "affectrt-tuned/1",
    "machine": {"cores": 4},
    "models": {"q4_1": "0" * 64},
    "rounds": 2,
    "load_average": 0.5,
    "results": [{"variant": "q4_1", "threads": 4, "prompt_tok_s": 90.0, "decode_tok_s": 40.0}],
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3)
)


def changed(name, value):
    content = json.loads(json.dumps(GOOD))
    (content if name in GOOD else content["results"][0])[name] = value
    return content


def checked(content):
    return tuned._checked(content, GOOD["machine"], GOOD["models"])


@given(st.sampled_from([*GOOD, *GOOD["results"][0]]), anything | st.just("q4_1") | st.integers(-1, 9))
def test_whatever_a_field_holds_the_result_is_sound_or_refused(name, value):
    content = changed(name, value)
    try:
        found = checked(content)
    except ValueError:
        assert json.dumps(content) != json.dumps(GOOD)
        return
    assert found.best.variant == "q4_1" and type(found.best.threads) is int and 1 <= found.best.threads <= 4
    assert all(0 < rate < math.inf for rate in (found.best.decode_tok_s, found.best.prompt_tok_s)) and found.rounds >= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", "affectrt-tuned/2"),
        ("machine", {"cores": 2}),
        ("models", {"q4_1": "1" * 64}),
        ("rounds", 0),
        ("rounds", True),
        ("load_average", -1.0),
        ("load_average", "low"),
        ("results", GOOD["results"] * 2),
        ("results", [{**GOOD["results"][0], "more": 1}]),
        ("variant", "q8_0"),
        ("threads", 0),
        ("threads", 5),
        ("threads", True),
        ("threads", 1.0),
        ("prompt_tok_s", math.inf),
        ("decode_tok_s", math.nan),
        ("decode_tok_s", 0.0),
        ("decode_tok_s", True),
    ],
)
def test_what_is_refused(name, value):
    assert checked(GOOD).best == Rate("q4_1", 4, 90.0, 40.0)
    with pytest.raises(ValueError, match="expected"):
        checked(changed(name, value))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b"[" * 40_000, b" " * 70_000, json.dumps({**GOOD, "results": []}).encode()],
    ids=["empty", "cut", "no text", "null", "list", "deep", "long", "no results"],
)
def test_a_broken_file_is_passed_over_with_a_note(dialogue_pack, cache, caplog, content):
    tune(dialogue_pack, device="cpu", measure=by_threads)
    (file,) = (cache / "tuned").iterdir()
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, "affectrt.dialogue"):
        assert decide(dialogue_pack, "auto", 0, "cpu") is None
    assert f"{file} is passed over: " in caplog.text


def test_nothing_is_kept_where_the_cache_cannot_be_written(dialogue_pack, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(PackError, match="what was measured of a language model: cannot write under"):
        tune(dialogue_pack, device="cpu", measure=by_threads)
    assert find(dialogue_pack) is None


def test_a_bare_file_is_hashed_only_where_one_of_its_size_was_measured(tmp_path, monkeypatch):
    path = tmp_path / "bare.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    pack = Pack(name="bare", version="", task="dialogue", path=path, source=str(path), license="MIT")
    hashed, real = [], tuned.sha256_of
    monkeypatch.setattr(tuned, "sha256_of", lambda path: hashed.append(path) or real(path))
    assert find(pack) is None and hashed == []
    found = tune(pack, device="cpu", measure=by_threads)
    assert find(pack) == found and len(hashed) == 2
    path.write_bytes(b"GGUF" + bytes(99) + b"\1")
    assert find(pack) is None and len(hashed) == 3
    path.write_bytes(b"GGUF" + bytes(101))
    assert find(pack) is None and len(hashed) == 3
    path.unlink()
    assert find(pack) is None


def test_what_cannot_be_measured(dialogue_pack, tmp_path):
    with pytest.raises(ValueError, match="max_seconds must be over 0, got 0"):
        tune(dialogue_pack, max_seconds=0)
    with pytest.raises(ValueError, match="expected a pack for dialogue, got one for face-detection"):
        tune("blazeface-full-range")
    with pytest.raises(PackError, match="affectrt packs pull smollm2-135m"):  # the test's cache has no models
        tune()
    assert find(open_pack("smollm2-135m")) is None
