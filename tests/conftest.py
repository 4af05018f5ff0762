"""What several folders of tests share: real pictures, and packs that are opened once."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# How fast this machine is just now is no property of the code.
settings.register_profile("affectrt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("affectrt")

sys.path.insert(0, str(Path(__file__).parent / "ops"))


@pytest.fixture(scope="session")
def astronaut():
    """(512, 512, 3) uint8 RGB: one smiling face of 105 px (NASA, public domain)."""
    from skimage import data

    frame = np.ascontiguousarray(data.astronaut())
    frame.flags.writeable = False
    return frame


@pytest.fixture(scope="session")
def empty_scene():
    """(400, 600, 3) uint8 RGB: a cup of coffee, nobody there."""
    from skimage import data

    return np.ascontiguousarray(data.coffee())


@pytest.fixture(scope="session")
def face(astronaut):
    """A `Face` with expression only."""
    import affectrt as art

    return art.Face(color="rgb8")


@pytest.fixture(scope="session")
def text():
    """A `TextEmotion` with the default pack."""
    import affectrt as art

    return art.TextEmotion()
