"""A master and what is derived from it."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt_export.spec import ExportError
from affectrt_export.variants import Options, derive, quantisable
from affectrt_export.variants.int8_trt import TensorRt
from affectrt_export.variants.master import Master
from affectrt_export.variants.optimise import census
from variant_nets import answers, constants, convnet, encoder, error, faces, graph, pictures, sentences, xception

NONE: frozenset[str] = frozenset()
CASES = {"xception": (xception, lambda: faces()[:16]), "convnet": (convnet, pictures), "encoder": (encoder, sentences)}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize(("bits", "largest", "wrong"), [(8, 0.45, 0.02), (4, 0.35, 0.35)])
def test_a_master_is_small_standard_and_computed_in_fp32(name: str, bits: int, largest: float, wrong: float) -> None:
    model, some = CASES[name][0](), CASES[name][1]()
    made = Master(Options(master_bits=bits, int4_block=16))(model, some, NONE)
    assert len(made) < (largest + 0.15 * (name == "convnet")) * len(model)
    assert {node.domain for node in graph(made).node} == {""}
    assert not any("Quantize" in op for op in census(made))
    assert 0 < error(model, made, some) < wrong
    assert made == Master(Options(master_bits=bits, int4_block=16))(model, some, NONE)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_derived_answers_as_the_master(name: str, bits: int) -> None:
    model, some = CASES[name][0](), CASES[name][1]()
    master = Master(Options(master_bits=bits, int4_block=16))(model, some, NONE)
    fp32, fp16, trt = (derive(master, to) for to in ("fp32", "fp16", "int8-trt"))
    np.testing.assert_array_equal(answers(fp32, some), answers(master, some))
    assert len(fp32) > 0.9 * len(model)
    assert error(fp32, fp16, some) < 3e-3 and len(fp16) < 0.6 * len(fp32)
    assert error(fp32, trt, some) < 0.12 and census(trt)["QuantizeLinear"] > 0
    for to, file in (("fp32", fp32), ("fp16", fp16), ("int8-trt", trt)):
        assert derive(master, to) == file
        assert not any(value.dtype == np.int8 for value in constants(fp32).values())


def test_derived_int8_has_the_weights_of_the_master_itself() -> None:
    model, some = convnet(2), pictures()
    master = Master(Options())(model, some, NONE)
    own = {value.tobytes() for value in constants(master).values() if value.dtype == np.int8}
    known = constants(derive(master, "int8-trt"))
    weights = {value.tobytes() for name, value in known.items() if value.dtype == np.int8 and value.ndim > 1}
    assert weights == own and len(own) == 5


def test_ranges_travel_with_the_master() -> None:
    """int8 for TensorRT comes out as if it had been calibrated here."""
    model, some = convnet(3), pictures()
    with_ranges, without = Master(Options())(model, some, NONE), Master(Options())(model, (), NONE)
    assert derive(with_ranges, "fp32") == derive(without, "fp32")
    with pytest.raises(ExportError, match="holds no ranges"):
        derive(without, "int8-trt")
    # The master's ranges are those of the original weights, a calibration of the derived ones is next to them.
    assert error(derive(without, "int8-trt", some), derive(with_ranges, "int8-trt"), some) < 0.02
    assert error(TensorRt(Options())(model, some, NONE), derive(with_ranges, "int8-trt"), some) < 0.02
    assert error(model, derive(without, "fp16"), some) < 0.02


def test_kept_layers() -> None:
    model, some = encoder(4), sentences()
    names = [name for name, _ in quantisable(model, "master")]
    assert census(Master(Options())(model, some, frozenset(names)))["Cast"] == census(model)["Cast"]
    one = Master(Options())(model, some, frozenset(names) - {names[3]})
    assert sum(value.dtype == np.int8 for value in constants(one).values()) == 1
    kept = frozenset(name for name, op in quantisable(model, "int8-trt") if op == "Gemm")
    trt = derive(Master(Options())(model, some, NONE), "int8-trt", keep=kept)
    gemm = next(node for node in graph(trt).node if node.op_type == "Gemm")
    assert gemm.input[1] in constants(trt)


def test_what_is_no_master_and_no_target_is_refused() -> None:
    with pytest.raises(ExportError, match="a master was expected"):
        derive(convnet(), "fp32")
    with pytest.raises(ValueError, match="to must be one of fp32, fp16, int8-trt, not 'int8'"):
        derive(convnet(), "int8")
    with pytest.raises(ExportError, match="an ONNX network was expected"):
        derive(b"nothing", "fp32")
