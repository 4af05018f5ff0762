"""A policy that is given is enforced where the senses are; one that is not costs and changes nothing."""

from __future__ import annotations

import affectrt as art
import numpy as np
import pytest
from affectrt.packs import DEFAULTS, pull

FRAME = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def embedding_pack():
    pull(DEFAULTS["text-embedding"])
    return DEFAULTS["text-embedding"]


def test_camera_frames_need_consent_and_none_is_looked_at_before():
    policy = art.Policy()
    face, crop = art.Face(color="rgb8", policy=policy), art.FaceExpression(color="rgb8", policy=policy)
    for look in (face, crop):
        with pytest.raises(art.ConsentError, match="camera"):
            look(FRAME)
        with pytest.raises(art.ConsentError):  # whatever the frame is: it is not even opened
            look(None)
    policy.grant("camera")
    assert face(FRAME) == []
    assert crop(FRAME).labels
    policy.withdraw("camera")
    for look in (face, crop):
        with pytest.raises(art.ConsentError, match="withdrawn"):
            look(FRAME)


def test_text_is_read_unless_the_policy_asks_for_consent(embedding_pack):
    open_one, strict = art.Policy(), art.Policy.strict()
    assert art.TextEmotion(policy=open_one)("I passed!").labels
    for read in (art.TextEmotion(policy=strict), art.TextEmbedding(embedding_pack, policy=strict)):
        for said in ("I passed!", ["I passed!"]):
            with pytest.raises(art.ConsentError, match="text"):
                read(said)
    strict.grant("text")
    assert art.TextEmotion(policy=strict)("I passed!").labels


def test_without_a_policy_nobody_is_asked():
    assert art.Face(color="rgb8")(FRAME) == []


@pytest.mark.parametrize("make", [art.Face, art.FaceExpression, art.TextEmotion])
@pytest.mark.parametrize("policy", [True, "strict", object()])
def test_what_is_no_policy_is_refused_not_ignored(make, policy):
    with pytest.raises(TypeError, match="policy: expected a Policy or None"):
        make(policy=policy)
