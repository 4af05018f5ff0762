"""What the Markdown and the HTML of a report say, that nothing of a record is read as markup, and that the page needs nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from affectrt_export.report import Figure, Record, Variant, words
from affectrt_export.report.html import page
from affectrt_export.report.markdown import code_block, escaped, markdown, paragraph
from affectrt_export.report.page_style import CSS
from affectrt_export.report.pictures import planned
from affectrt_export.spec import Bounds, Finding, Outcome
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import BAD, FACES, FP32, GOOD, INT8, LAYERS, REFUSED, REPAIRED, emotions, kind, model, quality, record

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://evil.test/x onerror=alert(1)>',
    "[click](https://evil.test) ![](https://evil.test/p.png)",
    "a | b || c",
    "`code` ``` **bold** _em_ ~~gone~~ $x$ &lt; \\",
    "# heading\n- item\n1. item\r\n> quote\n---",
    "nul\x00 esc\x1b[31m rtl\u202eevil\u2066 half\ud800",
    "www.evil.test https://evil.test/a a@evil.test",
    "</svg></style></title><b>",
    "感情 😀 é",
)


def blank(found: Record) -> dict[str, bytes]:
    """Stand-ins for the pictures of a record, which have tests of their own."""
    return {picture.file: b'<svg xmlns="http://www.w3.org/2000/svg" role="img"></svg>' for picture in planned(found)}


def html(found: Record) -> str:
    return page(found, blank(found))


class Tree(HTMLParser):
    """Every start tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def first_lines(found: Record) -> list[str]:
    return [text for _, text in words.opening(found)]


def test_the_first_lines_say_what_was_refused_and_why() -> None:
    found = record(FP32, REFUSED)
    lines = first_lines(found)
    assert lines[0] == "Not everything passed: of 2 variants of tiny-fer7 (face-expression), fp32 is published."
    assert lines[1] == (
        "int8 was refused: accuracy fell by 0.031 (at most 0.01 is allowed); class fear lost 0.12 F1 (at most 0.05 is allowed); "
        "layer stages.3.first is the worst. 1 repair was tried, without success."
    )
    shown = markdown(found).splitlines()
    assert shown[0] == "# tiny-fer7: export report" and shown[2] == f"**{lines[0]}**" and shown[4] == f"- {lines[1]}"
    assert lines[0] in Tree(html(found)).text and lines[1] in Tree(html(found)).text


def test_the_first_lines_say_what_was_repaired() -> None:
    lines = first_lines(record(FP32, REPAIRED))
    assert lines[0] == "Everything passed: all 2 variants of tiny-fer7 (face-expression): fp32 and int8 (after repair) are published."
    assert lines[1].startswith("int8 was repaired: 1 layer stays in higher precision (stages.3.first); its accuracy is ")
    assert lines[1].endswith(
        "Before that, accuracy fell by 0.031 (at most 0.01 is allowed); class fear lost 0.12 F1 (at most 0.05 is allowed)."
    )


def test_several_classes_and_a_class_whose_name_is_part_of_another() -> None:
    labels = ("joy", "joyful", "lost")
    own = quality(labels)
    detail = "these classes lost too much: 'joyful': F1 0.5 in fp32, lost 0.2; 'lost': F1 0.4 in fp32, lost 0.1; and 2 classes more."
    outcome = dataclasses.replace(REFUSED, quality=own, findings=[Finding("class", False, 0.2, 0.05, detail)], repairs=[], sensitivity=[])
    lines = first_lines(record(outcome, of=model(labels)))
    assert lines[1] == "int8 was refused: class joyful lost 0.2 F1 (at most 0.05 is allowed), and lost lost too much as well."


def test_a_variant_that_could_not_be_made_and_one_of_nan() -> None:
    made = Outcome(kind("int4"), None, [Finding("make", False, math.nan, None, "MatMul /head/MatMul: 3 columns are no multiple of 32")])
    why = "12 of 300 examples give outputs that are no finite numbers (NaN or infinity)."
    spoilt = Outcome(kind("fp16"), None, [Finding(gate, False, math.nan, 0.01, why) for gate in ("accuracy", "class")], size_bytes=9)
    found = record(FP32, made, spoilt)
    lines = first_lines(found)
    assert lines[1] == "int4 was refused: MatMul /head/MatMul: 3 columns are no multiple of 32."
    assert lines[2] == f"fp16 was refused: {why}"  # once, though two gates say it
    for text in (markdown(found), Tree(html(found)).text):
        assert "failed" in text and "NaN" in text and "0 of 1 passed" in text


def test_gates_that_were_switched_off_are_shown_everywhere() -> None:
    off = Bounds(latency_ratio=None, class_drop=None)
    findings = [GOOD[0], dataclasses.replace(GOOD[1], bound=None), Finding("latency", True, math.nan, None, "this gate was switched off.")]
    found = record(FP32, dataclasses.replace(INT8, findings=findings), bounds=off)
    said = "Switched off by the user, so not judged: F1 of the worst class against fp32; median latency over the parent's."
    assert said in first_lines(found)
    for text in (markdown(found), Tree(html(found)).text):
        assert said in text
        assert text.count("switched off by the user") == 4  # two findings, two bounds
        assert "1 of 1 passed, 2 not judged" in text


def test_a_gate_that_could_not_judge_here_was_not_switched_off() -> None:
    unjudged = Finding("latency", True, math.nan, 1.0, "not judged: int8-trt is made for another device.")
    text = markdown(record(FP32, dataclasses.replace(INT8, findings=[unjudged])))
    assert "| latency | not judged | - | at most 1 |" in text and "switched off" not in text


def test_without_labelled_data_accuracy_was_not_judged_and_not_switched_off() -> None:
    open_bounds = Bounds(accuracy_drop=None, class_drop=None)
    plain = [dataclasses.replace(outcome, quality=None, findings=GOOD[2:]) for outcome in (FP32, INT8)]
    text = markdown(record(*plain, bounds=open_bounds, data=[]))
    assert "Accuracy was not judged: no labelled data was given" in text
    assert "Everything passed" not in text and "switched off" not in text
    assert text.count("not judged: no labelled data was given |") == 2
    text = markdown(record(FP32, dataclasses.replace(INT8, findings=GOOD[2:]), bounds=open_bounds))
    assert "Switched off by the user" in text and "no labelled data" not in text, "there was data"


def test_parity() -> None:
    held = [Finding("parity", True, 1.1e-6, 1e-3, "largest difference: example 3, logits[2]")]
    lost = [*held, Finding("parity", False, 0.98, 0.9999, "least cosine: example 9")]
    text = markdown(record(FP32, parity=held))
    assert "| parity | passed | 1.1e-06 | at most 0.001 | largest difference: example 3, logits\\[2\\] |" in text
    found = record(parity=lost)
    assert first_lines(found)[0].startswith("Nothing was made of tiny-fer7") and not found.passed
    assert first_lines(found)[1] == (
        "The fp32 network does not answer as its source does: least cosine: example 9 is 0.98 (at least 0.9999 is allowed)."
    )
    itself = [Finding("parity", True, 0.0, None, "the source is ONNX itself")]
    for none in ([], itself):
        text = markdown(record(FP32, parity=none))
        assert "the source is the network itself" in text and "switched off" not in text
    off = Bounds(parity_max=None, parity_mean=None, parity_cosine=None)
    assert "| parity | not judged | 0.2 | switched off by the user |" in markdown(
        record(FP32, parity=[Finding("parity", True, 0.2, None, "largest")], bounds=off)
    )


def test_one_variant_and_no_latency() -> None:
    found = record(dataclasses.replace(FP32, latency=None))
    assert first_lines(found) == ["Everything passed: the one variant of tiny-fer7 (face-expression), fp32, is published."]
    for text in (markdown(found), Tree(html(found)).text):
        assert "median ms" not in text and "Latency" not in text and "most lost" not in text and "disgust" in text


def test_latency_and_sizes() -> None:
    text = markdown(record(FP32, INT8))
    assert "| int8 | 0.44 | 0.5 | 0.6 | 0.7 | 0.55x | 300 | 1 |" in text and "on A CPU" in text
    assert "| int8 | published | int8 | 108 kB | 0.27x |" in text


def test_28_labels_several_at_a_time() -> None:
    found = emotions()
    text = markdown(found)
    assert "macro-F1" in text and "every label right" in text and "the mean of the labels' own" in text
    assert text.count("| emotion27 |") == 1 + 3  # the table of all variants, and that of each
    assert "What was taken for what" not in text  # there is no such thing with several labels


def test_how_it_was_made_is_told() -> None:
    found = record(FP32, notes=["fp32 is what the others were held against."], date="2026-01-02")
    for text in (markdown(found).replace("\\", ""), Tree(html(found)).text):
        for part in (
            found.command,
            "0123abcd",
            "2026-01-02",
            "A CPU",
            "3.11.7",
            "not installed",
            "drawn answers",
            found.notes[0],
            "emotion_model",
        ):
            assert part in text
        assert "governor" not in text  # the machine does not tell


def test_a_conversation_pack_is_judged_by_perplexity() -> None:
    figures = (Figure("perplexity", 20.9, "dialogues"), Figure("decode_tok_s", 184.0, unit="tokens/s"))
    one = Variant("q4_0", "q4_0", "q8_0", "published", 91_000_000, figures=figures)
    found = Record("smollm2", "llama", "dialogue", "Apache-2.0", (), "affectrt export smollm2", (one,))
    text = markdown(found)
    assert "| q4_0 | published | q4_0 | 91 MB | - | 20.9 | none |" in text and "| q4_0 | decode_tok_s | 184 | tokens/s |" in text
    assert "perplexity 20.9" in text and "184 tokens a second" in text  # what the picture shows


@pytest.fixture(scope="module")
def hostile() -> Record:
    """Every name and sentence of a record is hostile, each of them somewhere."""
    names = [*HOSTILE, *HOSTILE]
    labels = HOSTILE[: len(FACES)]
    spoilt = [Finding(names[i], i % 2 == 0, 0.5, 0.25, names[i + 1]) for i in range(len(HOSTILE))]
    layers = [dataclasses.replace(LAYERS[0], name=name, op=name) for name in HOSTILE]
    outcomes = []
    for i, name in enumerate(HOSTILE[:4]):
        outcome = dataclasses.replace(
            REPAIRED if i % 2 else REFUSED,
            kind=kind(name, name, HOSTILE[0]),
            quality=dataclasses.replace(quality(labels), data=name),
            findings=spoilt,
            repairs=[dataclasses.replace(REPAIRED.repairs[0], kept=HOSTILE, findings=BAD)],
            sensitivity=layers,
        )
        outcomes.append(outcome)
    base = record(*outcomes, of=dataclasses.replace(model(labels), family=HOSTILE[0]), notes=HOSTILE, name=HOSTILE[2])
    return dataclasses.replace(
        base,
        task=HOSTILE[1],
        license=HOSTILE[4],
        command="\n".join([*HOSTILE, "```", "````"]),
        source=tuple({"what": name, "origin": name, name: name} for name in HOSTILE),
        machine={name: name for name in HOSTILE},
        versions={name: name for name in HOSTILE},
        seeds={name: 1 for name in HOSTILE},
        parity=tuple(spoilt),
    )


def test_html_takes_nothing_for_markup(hostile: Record) -> None:
    text = html(hostile)
    tree = Tree(text)
    known = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "span",
        "ul",
        "li",
        "nav",
        "main",
    }
    known |= {
        "section",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "figure",
        "svg",
        "pre",
        "code",
    }
    assert {tag for tag, _ in tree.tags} <= known
    assert sum(tag == "style" for tag, _ in tree.tags) == 1
    allowed = {"lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "aria-label", "aria-hidden", "role", "scope"}
    assert {name for _, attributes in tree.tags for name in attributes} <= allowed | {"tabindex", "style"}
    assert "<script>alert(1)</script>" in tree.text and "感情 😀 é" in tree.text
    assert not re.search(r"[\x00\x1b\u202e\u2066\ud800]", text)


def test_markdown_takes_nothing_for_markup(hostile: Record) -> None:
    text = markdown(hostile)
    assert not re.search(r"[\x00\x1b\u202e\u2066\ud800\r]", text)
    parser = MarkdownIt("commonmark", {"linkify": False, "html": True}).enable(["table", "strikethrough"])
    flat = [child for token in parser.parse(text) for child in (token, *(token.children or []))]
    assert {token.type for token in flat} & {"html_block", "html_inline", "link_open", "code_inline", "em_open", "s_open", "hr"} == set()
    assert {token.type for token in flat} & {"blockquote_open", "ordered_list_open", "code_block", "entity"} == set()
    assert {token.attrs["src"].split("/")[0] for token in flat if token.type == "image"} == {"pictures"}
    assert sum(token.type == "fence" for token in flat) == 1
    assert "<script>alert(1)</script>" in "".join(token.content for token in flat if token.type == "text")
    cells = [line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| ")]
    rules = [line.count("|") for line in text.splitlines() if line.startswith("|-")]
    assert set(cells) == set(rules)


@given(st.text(max_size=40))
@example("__0__")
def test_any_text_is_shown_in_markdown_as_it_is(text: str) -> None:
    shown = " ".join(words.clean(text).split())
    (opened, inline, closed) = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(paragraph(text) or "empty")
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
    assert "".join(child.content for child in inline.children or []) == (shown or "empty")
    assert "\n" not in escaped(text)


@given(st.text(alphabet="`~\n ab", max_size=30))
def test_code_stays_code(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse("\n".join([*code_block(text), "after"]))
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("made", [record(FP32, REPAIRED, dataclasses.replace(REFUSED, kind=kind("int4"))), emotions(), record()])
def test_the_page_needs_no_network_and_reads_well(made: Record) -> None:
    text = html(made)
    tree = Tree(text)
    for tag, attributes in tree.tags:
        assert not {"src", "srcset", "data", "action", "background"} & attributes.keys(), tag
        assert (attributes.get("href") or "#").startswith("#"), tag
        assert not any(name.startswith("on") for name in attributes)
    assert "http://" not in text and "https://" not in text and "@import" not in text and "url(" not in text
    assert any("default-src 'none'" in (attributes.get("content") or "") for tag, attributes in tree.tags if tag == "meta")
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"] for tag, attributes in tree.tags if tag == "a"} <= {f"#{one}" for one in ids}
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tree.tags if tag == "th")
    counted = {name: sum(tag == name for tag, _ in tree.tags) for name in ("table", "caption", "h1")}
    assert counted["table"] == counted["caption"] and counted["h1"] == 1
    levels = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch(r"h\d", tag)]
    assert all(lower - upper <= 1 for upper, lower in itertools.pairwise(levels))


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_light_and_dark() -> None:
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in CSS.split("@media (prefers-color-scheme: dark)")[:2])
    assert light.keys() == dark.keys()
    pairs = [("ink", "paper"), ("ink", "panel"), ("soft", "paper"), ("link", "paper"), ("ink", "stripe"), ("ink", "band")]
    pairs += [(mark, back) for mark in ("good", "warn", "bad") for back in ("paper", f"{mark}-back")]
    pairs += [("ink", f"{mark}-back") for mark in ("good", "warn", "bad")]
    for colors in (light, dark):
        for text, back in pairs:
            dim, bright = sorted((luminance(colors[text]), luminance(colors[back])))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, back)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (math.nan, "NaN"), (math.inf, "infinite"), (0.0, "0"), (12345.6, "12,346"), (0.00001234, "1.234e-05"), (99.996, "100")],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "-"), (999, "999 B"), (1000, "1 kB"), (999_700, "1 MB"), (23_217_000, "23.2 MB"), (1_700_000_000, "1,700 MB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert words.size(size) == shown


def test_a_loss_that_rounds_to_nothing_has_no_sign() -> None:
    assert words.share(-0.00001, 4) == "0.0000" and words.share(-0.002, 3) == "-0.002" and words.share(math.nan) == "NaN"
