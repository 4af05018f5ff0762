from __future__ import annotations

import pytest
from affectrt.dialogue import Sampling


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(ValueError, match=r"temperature must be in \[0, 5\], got -1.*top_p.*max_tokens must be at least 1, got 0"):
        Sampling(temperature=-1, top_p=0.0, max_tokens=0)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": float("nan")}, {"top_k": -1}, {"min_p": 1.0}, {"repeat_penalty": 0.0}, {"stop": "abc"}, {"stop": ("",)}],
)
def test_each_field_has_its_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 1.5}, {"top_k": True}, {"repeat_last_tokens": "4"}, {"temperature": "hot"}, {"top_p": None}]
)
def test_each_field_has_its_type(wrong):
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be a"):
        Sampling(**wrong)


def test_a_packs_settings_come_as_they_were_written():
    decode = {
        "temperature": 0.699999988079071,
        "top_p": 0.9,
        "top_k": 40,
        "repeat_penalty": 1.100000023841858,
        "max_tokens": 160,
        "stop": [],
    }
    sampling = Sampling.from_decode(decode)
    assert (sampling.temperature, sampling.repeat_penalty, sampling.max_tokens) == (0.7, 1.1, 160)
