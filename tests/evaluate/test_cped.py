"""CPED: its files are read, and refused with the line; its counts; its control tokens. The rows are made up; none is of the data set."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from affectrt import evaluate
from affectrt.evaluate import cped
from affectrt.labels import TAXONOMIES, translate
from affectrt.labels import cped as sets
from hypothesis import given
from hypothesis import strategies as st

HEAD = ",".join(cped.COLUMNS)
# (dialogue, speaker, scene, face, sentiment, emotion, act, text): every emotion and every act at least once.
ROWS = [
    ("1_0", "Ada", "home", "10_20,50_60", "positive", "happy", "greeting", "早上好"),
    ("1_0", "Ben", "home", "0_0,0_0", "positive", "relaxed", "greeting", "早"),
    ("1_0", "Ada", "home", "12_22,50_60", "neutral", "neutral", "question", "茶还有吗"),
    ("1_0", "Ben", "home", "0_0,0_0", "neutral", "neutral", "answer", "还有一点"),
    ("1_0", "Ada", "home", "9_20,50_61", "positive", "grateful", "thanking", "谢谢你"),
    ("1_1", "Ben", "car", "0_0,0_0", "negative", "worried", "question", "那是什么声音"),
    ("1_1", "Ada", "car", "1_2,3_4", "negative", "astonished", "interjection", "天啊"),
    ("1_1", "Ben", "car", "0_0,0_0", "negative", "fear", "command", "快停车"),
    ("1_1", "Ada", "car", "1_2,3_4", "neutral", "neutral", "agreement", "好"),
    ("1_1", "Ben", "car", "0_0,0_0", "negative", "anger", "irony", '"好车"，你说的'),
    ("1_1", "Ada", "car", "1_2,3_4", "negative", "depress", "apology", "对不起"),
    ("2_0", "Eve", "office", "5_5,9_9", "negative", "sadness", "statement-non-opinion", "我把票丢了"),
    ("2_0", "Kim", "office", "0_0,0_0", "neutral", "neutral", "comfort", "别急, 会找到的"),
    ("2_0", "Eve", "office", "5_5,9_9", "negative", "negative-other", "disagreement", "不会的"),
    ("2_0", "Kim", "office", "0_0,0_0", "neutral", "neutral", "acknowledge", "嗯"),
    ("2_0", "Kim", "office", "7_7,8_8", "positive", "positive-other", "appreciation", "你已经很努力了"),
    ("2_0", "Eve", "office", "5_5,9_9", "neutral", "neutral", "quotation", "人不可貌相"),
    ("2_0", "Kim", "office", "0_0,0_0", "negative", "disgust", "reject", "不要那个杯子"),
    ("2_0", "Eve", "office", "5_5,9_9", "neutral", "neutral", "statement-opinion", "还是走路好"),
    ("2_0", "Kim", "office", "0_0,0_0", "neutral", "neutral", "conventional-closing", "再见"),
]


def line(i, row, **changed):
    dialogue, speaker, scene, face, sentiment, emotion, act, text = row
    cells = {
        "TV_ID": dialogue.split("_")[0],
        "Dialogue_ID": dialogue,
        "Utterance_ID": f"{dialogue}_{i:03}",
        "Speaker": speaker,
        "Gender": "female" if speaker in ("Ada", "Eve") else "unknown",
        "Age": "young",
        "Neuroticism": "low",
        "Extraversion": "high",
        "Openness": "unknown",
        "Agreeableness": "high",
        "Conscientiousness": "low",
        "Scene": scene,
        "FacePosition_LU": face.split(",")[0],
        "FacePosition_RD": face.split(",")[1],
        "Sentiment": sentiment,
        "Emotion": emotion,
        "DA": act,
        "Utterance": text,
        **changed,
    }
    quoted = {name: '"' + cell.replace('"', '""') + '"' if set(cell) & set('",\n') else cell for name, cell in cells.items()}
    return ",".join(quoted[name] for name in cped.COLUMNS)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([HEAD, *(line(i, row) for i, row in enumerate(ROWS))]) + "\n", encoding="utf-8")
    return path


def test_twenty_rows_are_read_as_they_are(file):
    utterances = cped.read(file)
    assert len(utterances) == len(ROWS) == 20
    for i, (one, row) in enumerate(zip(utterances, ROWS, strict=True)):
        dialogue, speaker, scene, face, sentiment, emotion, act, text = row
        assert (one.dialogue, one.speaker, one.scene, one.sentiment, one.emotion, one.act, one.text) == (
            dialogue,
            speaker,
            scene,
            sentiment,
            emotion,
            act,
            text,
        )
        assert one.name == f"{dialogue}_{i:03}" and one.show == dialogue[0]
        assert one.traits == ("low", "high", "unknown", "high", "low")
        assert (one.face is None) == (face == "0_0,0_0")
    assert utterances[0].face == (10, 20, 50, 60)


def test_the_counts_by_hand(file):
    counts = cped.count(cped.read(file))
    assert (counts.utterances, counts.dialogues, counts.shows, counts.speakers) == (20, 3, 2, 4)
    assert tuple(counts.emotions) == TAXONOMIES["cped13"].labels
    assert counts.emotions["neutral"] == 8 and all(n == 1 for e, n in counts.emotions.items() if e != "neutral")
    assert dict(counts.sentiments) == {"neutral": 8, "positive": 4, "negative": 8}
    assert {act: n for act, n in counts.acts.items() if n != 1} == {"greeting": 2, "question": 2, "other": 0}
    assert {scene: n for scene, n in counts.scenes.items() if n} == {"home": 5, "car": 6, "office": 9}


def test_what_differs_from_the_published_numbers_is_said(file):
    counts = cped.count(cped.read(file))
    for split in cped.PUBLISHED:
        assert f"utterances: {cped.PUBLISHED[split]['utterances']} were published, here are 20" in cped.differences(counts, split)
    emotions = {label: 0 for label in counts.emotions} | {"neutral": 7991, "grateful": 31}
    whole = replace(counts, utterances=27438, dialogues=2815, shows=9, emotions=emotions)
    assert cped.differences(whole, "test") == []
    assert cped.differences(replace(whole, emotions=emotions | {"grateful": 30}), "test") == ["grateful: 31 were published, here are 30"]
    with pytest.raises(ValueError, match="train, valid, test"):
        cped.differences(counts, "dev")


def test_the_command(file, capsys):
    assert cped.main([str(file)]) == 0
    assert "20 utterances, 3 dialogues, 2 shows, 4 speakers" in capsys.readouterr().out
    assert cped.main([str(file), "--split", "valid"]) == 1
    assert "utterances: 11137 were published, here are 20" in capsys.readouterr().err
    assert cped.main([str(file.with_name("none.csv"))]) == 2
    done = subprocess.run([sys.executable, "-m", "affectrt.evaluate.cped", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and "neutral 8" in done.stdout


def test_eval_knows_the_file_by_its_head(file):
    data = evaluate.read_data(file, lambda path: pytest.fail("no picture is in it"))
    assert isinstance(data, evaluate.Texts)
    assert data.labels == TAXONOMIES["cped13"].labels and data.texts[0] == "早上好"
    assert [data.labels[i] for (i,) in data.truth] == [row[5] for row in ROWS]


def test_who_speaks_is_a_group(file):
    groups = evaluate.read_data(file, None, group="Gender").groups
    assert (groups.count("female"), groups.count("unknown")) == (10, 10)
    assert set(evaluate.read_data(file, None, group="Scene").groups) == {"home", "car", "office"}
    assert evaluate.read_data(file, None, group="Speaker").groups[:2] == ("Ada", "Ben")
    assert set(evaluate.read_data(file, None, group="Neuroticism").groups) == {"low"}
    assert set(evaluate.read_data(file, None, group="Extraversion").groups) == {"high"}
    assert evaluate.read_data(file, None).groups is None
    with pytest.raises(
        ValueError, match=r"one of TV_ID, Speaker, Gender, Age, Scene, .* was expected as the group's column, got 'Emotion'"
    ):
        evaluate.read_data(file, None, group="Emotion")


@pytest.mark.parametrize("start", ["\ufeff", ""])
def test_a_byte_order_mark_blank_lines_and_more_columns_do_no_harm(tmp_path, start):
    path = tmp_path / "rows.csv"
    path.write_text(f"{start}{HEAD},Note\r\n\r\n{line(0, ROWS[0])},x\r\n", encoding="utf-8")
    assert cped.is_cped(path)
    assert [one.text for one in cped.read(path)] == ["早上好"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Emotion", "angry"),
        ("Emotion", ""),
        ("Emotion", "Happy"),
        ("DA", "da-other"),
        ("Sentiment", "mixed"),
        ("Scene", "moon"),
        ("Gender", "f"),
        ("Age", "9"),
        ("Neuroticism", "0.5"),
        ("FacePosition_LU", "10"),
        ("FacePosition_RD", "10_-3"),
        ("FacePosition_RD", "1_²"),
        ("TV_ID", ""),
        ("Utterance_ID", " "),
    ],
)
def test_what_is_no_label_is_refused_with_its_line(tmp_path, column, value):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([HEAD, line(0, ROWS[0]), line(1, ROWS[1], **{column: value})]), encoding="utf-8")
    what = "a corner of the face" if column.startswith("Face") else column
    with pytest.raises(ValueError, match=f"rows.csv:3: {what}"):
        cped.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: the columns of CPED"),
        (HEAD, "no utterances"),
        ("file,label\na.png,happy\n", "TV_ID"),
        (HEAD.replace(",DA", ""), "1: the columns of CPED were expected, DA missing"),
        (f"{HEAD}\n1,2,3\n", "2: 18 cells were expected, got 3"),
        (f"{HEAD}\n{line(0, ROWS[0])}\n{line(0, ROWS[0])}", "3: each utterance once"),
        (f'{HEAD}\n"open', "a line of CSV"),
        (f"{HEAD}\n{'x' * 200000}", "a line of CSV"),
    ],
)
def test_damaged_files_are_refused(tmp_path, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        cped.read(path)


def test_another_encoding_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{HEAD}\n{line(0, ROWS[0])}".encode("gb18030"))
    with pytest.raises(ValueError, match="UTF-8 was expected"):
        cped.read(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_valueerror(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for start in (b"", HEAD.encode() + b"\n"):
        path.write_bytes(start + data)
        cped.is_cped(path)
        with pytest.raises(ValueError, match=r"any\.csv"):
            cped.read(path)


def test_the_sets_have_the_published_sizes():
    assert (len(sets.DIALOGUE_ACTS), len(sets.SENTIMENTS), len(sets.SCENES)) == (19, 3, 11)
    assert set(sets.SENTIMENT_OF) == set(TAXONOMIES["cped13"].labels)
    assert set(sets.SENTIMENT_OF.values()) == set(sets.SENTIMENTS)
    for row in ROWS:
        assert sets.SENTIMENT_OF[row[5]] == row[4]


def test_control_tokens():
    assert sets.control_tokens(emotion="happy") == "[happy]"
    assert sets.control_tokens(act="question", emotion="worried") == "[worried][question]"
    assert sets.control_tokens(sentiment="positive", act="other") == "[positive][da-other]"
    assert sets.control_tokens(emotion=translate("gratitude", "goemotions28", "cped13"), act="thanking") == "[grateful][thanking]"
    assert sets.control_tokens() == ""
    assert len(set(sets.CONTROL_TOKENS)) == len(sets.CONTROL_TOKENS) == 13 + 2 + 19
    for emotion in TAXONOMIES["cped13"].labels:
        for act in sets.DIALOGUE_ACTS:
            tokens = sets.control_tokens(emotion=emotion, act=act).replace("][", "] [").split()
            assert len(tokens) == 2 and set(tokens) <= set(sets.CONTROL_TOKENS)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"emotion": "furious"}, "a label of cped13"),
        ({"emotion": "[happy]"}, "a label of cped13"),
        ({"act": "smalltalk"}, "act: one of greeting"),
        ({"sentiment": "happy"}, "sentiment: one of neutral"),
        ({"emotion": "happy", "sentiment": "positive"}, "got both"),
    ],
)
def test_no_control_token_for_what_is_unknown(keywords, message):
    with pytest.raises(ValueError, match=message):
        sets.control_tokens(**keywords)
