"""The maps are total, stay in range, and agree with their sources."""

from __future__ import annotations

import pytest
from affectrt import labels
from affectrt.expression import ANSWERS, NEUTRAL, answer_to, expression_of


@pytest.mark.parametrize(
    ("names", "table", "count"),
    [
        (labels.FER7, labels.FER7_AFFECT, 7),
        (labels.GOEMOTIONS, labels.GOEMOTIONS_AFFECT, 28),
        (labels.EXPRESSIONS, labels.EXPRESSION_AFFECT, 25),
    ],
)
def test_every_label_has_a_place_in_the_unit_cube(names, table, count):
    assert len(names) == len(set(names)) == count
    assert tuple(table) == names
    for affect in table.values():
        assert all(-1.0 <= value <= 1.0 for value in (affect.valence, affect.arousal, affect.dominance))
    assert table["neutral"] == labels.NEUTRAL_AFFECT


def test_every_rated_term_is_in_use():
    used = {id(a) for t in labels.TAXONOMIES.values() for a in t.affect.values()}
    assert {name for name, affect in labels.TERMS.items() if id(affect) not in used} == set()


@pytest.mark.parametrize(
    ("table", "keys", "values"),
    [
        (labels.GOEMOTIONS_TO_EKMAN, labels.GOEMOTIONS, labels.EKMAN),
        (labels.FER7_TO_EXPRESSION, labels.FER7, labels.EXPRESSIONS),
        (labels.GOEMOTIONS_TO_EXPRESSION, labels.GOEMOTIONS, labels.EXPRESSIONS),
        (ANSWERS, labels.EXPRESSIONS, labels.EXPRESSIONS),
    ],
)
def test_maps_are_total_and_land_in_their_vocabulary(table, keys, values):
    assert set(table) == set(keys)
    assert set(table.values()) <= set(values)


def test_maps_cannot_be_changed():
    with pytest.raises(TypeError):
        labels.FER7_TO_EXPRESSION["happy"] = "sad"  # type: ignore[index]


def test_signs_are_those_of_common_sense():
    v, a = ({n: getattr(x, f) for n, x in labels.GOEMOTIONS_AFFECT.items()} for f in ("valence", "arousal"))
    assert all(v[n] > 0 for n, basic in labels.GOEMOTIONS_TO_EKMAN.items() if basic == "joy")
    assert all(v[n] < 0 for n, basic in labels.GOEMOTIONS_TO_EKMAN.items() if basic in ("anger", "disgust", "fear", "sadness"))
    assert a["anger"] > a["annoyance"] and a["excitement"] > a["relief"] and a["sadness"] < 0 < a["fear"]


def test_the_default_packs_speak_these_vocabularies():
    import affectrt as art

    for pack, names in (("xception-fer7", labels.FER7), ("minilm-goemotions", labels.GOEMOTIONS)):
        assert {label.name for label in art.open_pack(pack).labels} == set(names)


def test_an_expression_answers_a_label_or_else_the_nearest_place():
    assert expression_of("fear", 0, 0) == "scared"
    assert expression_of("gratitude", 0, 0) == "happy"
    assert expression_of("bored", 0, 0) == "bored"
    assert expression_of("fury", -0.45, 0.75) == "furious"


def test_a_label_means_the_same_expression_in_every_taxonomy_that_has_it():
    for name, one in labels.TAXONOMIES.items():
        for label, worn in labels.mapping(name, "expression").items():
            assert expression_of(label, 0, 0) == worn, f"{label} of {one.name}"


def test_the_robots_answer_scales_with_its_strength_and_never_mirrors_anger():
    strong, weak = answer_to("happy", 1.0), answer_to("happy", 0.5)
    assert strong.name == weak.name == "happy"
    assert weak.valence == pytest.approx(strong.valence / 2)
    assert answer_to("despaired").name == "sad"
    assert answer_to("furious") == answer_to(None) == NEUTRAL
    with pytest.raises(ValueError, match="'gleeful'"):
        answer_to("gleeful")
    for strength in (2, -0.1, float("nan")):
        for person in ("despaired", None):
            with pytest.raises(ValueError, match=r"strength must lie in \[0, 1\]"):
                answer_to(person, strength)
