"""The same of the encoders that are kin of BERT: they are read because transformers makes them alike."""

from __future__ import annotations

import checkpoints
import pytest
from affectrt_export import families
from affectrt_export.spec import Model
from test_families_encoder import (  # noqa: F401 - collected here again, with the fixture below
    test_every_layer_is_named_and_no_bias_is_shared,
    test_the_onnx_answers_as_transformers_does_whatever_the_padding,
)


@pytest.fixture(scope="module", params=("electra", "albert", "mpnet", "camembert", "deberta-v2", "modernbert"))
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return families.read(checkpoints.encoder(tmp_path_factory.mktemp("hub") / request.param, request.param))
