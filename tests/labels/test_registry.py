"""The registry: every label has a place and goes somewhere sensible in every taxonomy; names are found; the page is the code's."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from affectrt import labels
from affectrt.labels import CONCEPTS, TAXONOMIES, Affect, mapping, nearest, taxonomy, taxonomy_of, translate, zone_of
from affectrt.labels.__main__ import MARKS, returns, tables
from hypothesis import given
from hypothesis import strategies as st

COUNTS = {
    "fer7": 7,
    "affectnet8": 8,
    "ekman": 7,
    "plutchik8": 8,
    "goemotions28": 28,
    "empatheticdialogues32": 32,
    "meld7": 7,
    "cped13": 13,
    "leia5": 5,
    "emollms11": 11,
    "zones4": 4,
    "expression": 25,
}
PAIRS = list(product(TAXONOMIES, TAXONOMIES))
NEUTRAL_SIGN = 0.15  # valence below which a word is neither pleasant nor unpleasant

# As published with GoEmotions (its repository's ekman_mapping.json), written out once more so that the pivot is held to it.
PUBLISHED_EKMAN = {
    "anger": "anger annoyance disapproval",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring",
    "sadness": "sadness disappointment embarrassment grief remorse",
    "surprise": "surprise realization confusion curiosity",
    "neutral": "neutral",
}


def test_the_registry_has_the_twelve_with_their_counts_and_sources():
    assert {name: len(one) for name, one in TAXONOMIES.items()} == COUNTS
    for name, one in TAXONOMIES.items():
        assert one.name == name
        assert len(set(one.labels)) == len(one.labels)
        assert tuple(one.affect) == tuple(one.concepts) == one.labels
        assert any(year in one.source for year in ("1980", "1992", "2011", "2013", "2019", "2020", "2021", "2022", "2023", "2024")), (
            one.source
        )
        for place in one.affect.values():
            assert all(-1 <= value <= 1 for value in (place.valence, place.arousal, place.dominance))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_label_goes_to_a_label(source, target):
    table = mapping(source, target)
    assert tuple(table) == taxonomy(source).labels
    assert set(table.values()) <= set(taxonomy(target).labels)
    if source == target:
        assert all(label == goal for label, goal in table.items())


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_no_feeling_turns_into_its_opposite(source, target):
    """Unpleasant words stay unpleasant or neutral, pleasant ones pleasant or neutral; the exceptions are all named here."""
    startled = {"surprise", "astonishment", "realization", "curiosity", "confusion"}  # both signs occur, and both groupings are published
    for label, goal in mapping(source, target).items():
        concept, end = taxonomy(source).concepts[label], taxonomy(target).concepts[goal]
        before, after = taxonomy(source).affect[label].valence, taxonomy(target).affect[goal].valence
        if concept in startled or end in startled or abs(before) < NEUTRAL_SIGN or abs(after) < NEUTRAL_SIGN:
            continue
        if concept in ("suspicion", "skepticism") and end == "anticipation":  # wariness: Plutchik's vigilance
            continue
        assert (before > 0) == (after > 0), f"{label} of {source} -> {goal} of {target}"


def test_goemotions_onto_ekman_is_the_published_grouping():
    assert {fine: basic for basic, group in PUBLISHED_EKMAN.items() for fine in group.split()} == labels.GOEMOTIONS_TO_EKMAN


def test_the_nearest_place_would_not_do():
    """docs/decisions/label-maps.md: why maps are by meaning."""
    near = {label: nearest(place, "ekman") for label, place in labels.GOEMOTIONS_AFFECT.items()}
    assert sum(near[label] != basic for label, basic in labels.GOEMOTIONS_TO_EKMAN.items()) == 12
    assert (near["love"], near["gratitude"], near["disapproval"], near["remorse"]) == ("surprise", "surprise", "disgust", "fear")
    assert nearest(labels.NEUTRAL_AFFECT, "leia5") == "sadness"


@pytest.mark.parametrize(
    ("label", "source", "target", "goal"),
    [
        ("affection", "leia5", "ekman", "joy"),
        ("affection", "leia5", "goemotions28", "love"),
        ("love", "goemotions28", "leia5", "affection"),
        ("contempt", "affectnet8", "ekman", "disgust"),
        ("admiration", "goemotions28", "plutchik8", "trust"),
        ("optimism", "emollms11", "plutchik8", "anticipation"),
        ("nervousness", "goemotions28", "cped13", "worried"),
        ("anxious", "empatheticdialogues32", "goemotions28", "nervousness"),
        ("jealous", "empatheticdialogues32", "ekman", "anger"),
        ("sentimental", "empatheticdialogues32", "leia5", "affection"),
        ("pride", "goemotions28", "cped13", "positive-other"),
        ("embarrassment", "goemotions28", "cped13", "negative-other"),
        ("grief", "goemotions28", "expression", "despaired"),
        ("surprise", "fer7", "cped13", "astonished"),
        ("neutral", "fer7", "plutchik8", "trust"),
        ("tired", "expression", "zones4", "blue"),
        ("joy", "ekman", "zones4", "yellow"),
        ("relief", "goemotions28", "zones4", "green"),
        ("fear", "plutchik8", "zones4", "red"),
        ("red", "zones4", "fer7", "angry"),
        ("green", "zones4", "expression", "neutral"),
    ],
)
def test_maps_by_hand(label, source, target, goal):
    assert translate(label, source, target) == goal


def test_every_concept_is_in_use_and_ends_where_every_taxonomy_can_follow():
    used = {concept for one in TAXONOMIES.values() for concept in one.concepts.values()}
    assert used == set(CONCEPTS)
    for name, concept in CONCEPTS.items():
        assert set(concept.instead) <= set(CONCEPTS), name
        assert name not in concept.instead
        assert len(set(concept.instead)) == len(concept.instead), name


@pytest.mark.parametrize("name", [name for name in TAXONOMIES])
def test_one_label_a_concept(name):
    concepts = list(taxonomy(name).concepts.values())
    assert len(set(concepts)) == len(concepts)


def test_into_zones_a_label_goes_where_its_place_does():
    for name, one in TAXONOMIES.items():
        for label, goal in mapping(name, "zones4").items():
            place = one.affect[label]
            assert goal == zone_of(place.valence, place.arousal)
            if name != "zones4":
                assert nearest(place, "zones4") == goal


@pytest.mark.parametrize(
    ("name", "taxonomy_name", "label"),
    [
        ("anger", "fer7", "angry"),
        ("Happiness", "fer7", "happy"),
        (" joy ", "fer7", "happy"),
        ("sadness", "fer7", "sad"),
        ("happy", "ekman", "joy"),
        ("joy", "leia5", "happiness"),
        ("fear", "empatheticdialogues32", "afraid"),
        ("SURPRISE", "expression", "surprised"),
        ("amazement", "expression", "amazed"),
        ("acceptance", "plutchik8", "trust"),
        ("depression", "cped13", "depress"),
        ("guilt", "goemotions28", "remorse"),
        ("Blue", "zones4", "blue"),
    ],
)
def test_aliases(name, taxonomy_name, label):
    assert taxonomy(taxonomy_name).resolve(name) == label


def test_an_alias_never_hides_a_label_and_no_word_stands_in_two_sets():
    words = [word for group in labels.ALIASES for word in group]
    assert len(words) == len(set(words))
    for one in TAXONOMIES.values():
        assert [one.resolve(label) for label in one.labels] == list(one.labels)


@pytest.mark.parametrize("name", ["gleeful", "", "happy,sad", "love", "depressed"])
def test_an_unknown_label_is_told_which_there_are(name):
    with pytest.raises(ValueError, match=r"fer7 was expected \(angry, disgust, fear, happy, sad, surprise, neutral\)"):
        translate(name, "fer7", "ekman")
    with pytest.raises(TypeError, match="a label of fer7 was expected, got NoneType"):
        translate(None, "fer7", "ekman")


@given(st.text(max_size=20))
def test_any_text_is_a_label_or_a_valueerror(text):
    for one in TAXONOMIES.values():
        try:
            assert one.resolve(text) in one.labels
        except ValueError as error:
            assert one.name in str(error)


def test_an_unknown_taxonomy_is_told_which_there_are():
    for call in (
        lambda: taxonomy("fer8"),
        lambda: mapping("fer8", "fer7"),
        lambda: translate("sad", "fer7", "fer8"),
        lambda: nearest(Affect(0, 0, 0), "fer8"),
    ):
        with pytest.raises(ValueError, match="fer7, affectnet8, ekman"):
            call()


def test_taxonomy_of_finds_labels_in_any_order():
    for name, one in TAXONOMIES.items():
        assert taxonomy_of(one.labels) is (TAXONOMIES["ekman"] if name == "meld7" and one.labels == TAXONOMIES["ekman"].labels else one)
        if name != "meld7":
            assert taxonomy_of(reversed(one.labels)) is one
    assert taxonomy_of([]) is None
    assert taxonomy_of(["happy"]) is None
    assert taxonomy_of([*labels.FER7, "happy"]) is None


def test_taxonomy_of_the_default_packs():
    import affectrt as art
    from affectrt.packs import DEFAULTS

    found = {}
    for task in ("face-expression", "text-emotion"):
        pack = art.open_pack(DEFAULTS[task])
        known = taxonomy_of([label.name for label in pack.labels])
        assert known is not None
        found[task] = known.name
        for label in pack.labels:  # the pack was written from this very table
            place = known.affect[label.name]
            assert (label.valence, label.arousal, label.dominance) == pytest.approx((place.valence, place.arousal, place.dominance))
    assert found == {"face-expression": "fer7", "text-emotion": "goemotions28"}


def test_round_trips_are_what_they_must_be():
    for source, target in PAIRS:
        count = returns(source, target)
        assert count <= min(len(taxonomy(source)), len(taxonomy(target)))
        if source == target:
            assert count == len(taxonomy(source))
    # Not a label of the few is lost among the many that have it.
    assert returns("fer7", "goemotions28") == returns("ekman", "goemotions28") == 7
    assert returns("plutchik8", "emollms11") == 8
    assert returns("fer7", "expression") == 7


def test_the_page_has_the_tables_of_the_code():
    page = (Path(__file__).resolve().parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    written = page.split(MARKS[0])[1].split(MARKS[1])[0]
    assert written.strip() == tables().strip(), "write it anew: python -m affectrt.labels"


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_nearest_is_the_nearest(valence, arousal, dominance):
    place = Affect(valence, arousal, dominance)

    def distance(other):
        return (other.valence - valence) ** 2 + (other.arousal - arousal) ** 2 + (other.dominance - dominance) ** 2

    for name in ("ekman", "expression"):
        affect = taxonomy(name).affect
        assert distance(affect[nearest(place, name)]) == min(map(distance, affect.values()))


def test_nearest_takes_a_place_of_three_axes():
    for wrong in ((0.5, 0.2), [0.5, 0.2, 0.0], "joy", None):
        with pytest.raises(TypeError, match=rf"Affect\(valence, arousal, dominance\) was expected, got {type(wrong).__name__}"):
            nearest(wrong, "ekman")


@pytest.mark.parametrize("name", ["fer7", "meld7", "leia5", "plutchik8"])
def test_each_place_is_nearest_to_itself(name):
    for label, place in taxonomy(name).affect.items():
        assert nearest(place, name) == label


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.01, -2])
def test_a_place_outside_the_cube_is_refused(value):
    for affect in (Affect(value, 0, 0), Affect(0, value, 0), Affect(0, 0, value)):
        with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
            nearest(affect, "fer7")
    with pytest.raises(ValueError, match="valence"):
        zone_of(value, 0)
    with pytest.raises(ValueError, match="arousal"):
        zone_of(0, value)


@pytest.mark.parametrize(
    ("valence", "arousal", "zone"),
    [
        (-0.4, 0.3, "red"),
        (0.0, 0.3, "yellow"),
        (0.4, 0.3, "yellow"),
        (-0.4, 0.0, "red"),
        (0.0, 0.0, "green"),
        (0.4, 0.0, "green"),
        (-0.4, -0.3, "blue"),
        (0.0, -0.3, "blue"),
        (0.4, -0.3, "green"),
    ],
)
def test_the_nine_sign_cases_of_the_zones(valence, arousal, zone):
    assert zone_of(valence, arousal) == zone
