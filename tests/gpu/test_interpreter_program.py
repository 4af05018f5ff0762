"""The parser, what a launch counts, and the machinery that seeds faults."""

import struct

import numpy as np
import ptx
import pytest
from samples import ARCHITECTURES, CACHE, SAMPLES, Run, program

HEADER = ".version 9.0\n.target sm_75\n.address_size 64\n"
# Smaller in one direction, larger in the other, so that both ends are interpolated over.
WIDTH, HEIGHT, OUT_WIDTH, OUT_HEIGHT = 61, 47, 53, 59


def kernel(body, declarations="", params=".param .u64 k_param_0"):
    return ptx.parse(f"{HEADER}{declarations}\n.visible .entry k({params})\n{{\n{body}\nret;\n}}\n")


def results(body, threads=4, declarations=""):
    """What a body leaves in `%out`, a 32-bit register, for each thread."""
    registers = ".reg .b32 %out, %t;\n.reg .b64 %p<3>;\n.reg .pred %q;\n"
    store = "\nmov.u32 %t, %tid.x;\nld.param.u64 %p0, [k_param_0];\nmul.wide.u32 %p1, %t, 4;\n"
    store += "add.u64 %p2, %p0, %p1;\nst.global.u32 [%p2], %out;\n"
    machine = ptx.Machine()
    out = machine.buffer(np.zeros(threads, np.uint32), initialised=False)
    machine.launch(kernel(registers + body + store, declarations), "k", 1, threads, struct.pack("<Q", out.address))
    return out.array().tolist()


def test_inner_scopes_have_registers_of_their_own():
    assert (
        results("mov.u32 %out, 5;\n{ .reg .b32 %out; mov.u32 %out, 6; }\n{ .reg.b32 low, high; mov.u32 low, 1; add.u32 %out, %out, low; }")
        == [6] * 4
    )


def test_jump_table():
    body = (
        "mov.u32 %t, %tid.x;\ntable: .branchtargets A, B, C;\nbrx.idx %t, table;\n"
        "A: mov.u32 %out, 10; bra E;\nB: mov.u32 %out, 11; bra E;\n"
        "C: mov.u32 %out, 12;\nE:"
    )
    assert results(body, 3) == [10, 11, 12]
    with pytest.raises(ptx.PtxError, match="entry 3 of a table of 3 labels"):
        results(body, 4)


def test_guards_and_constants():
    declarations = ".const .align 4 .b8 c[8] = {1, 0, 0, 0, 255};\n"
    declarations += ".global .align 4 .u32 g[2] = {7, 0x10};\n.global .align 4 .f32 f = 0f3F800000;"
    body = "mov.u32 %t, %tid.x;\nsetp.gt.u32 %q, %t, 1;\nld.const.u32 %out, [c+4];\n"
    body += "@%q ld.global.u32 %out, [g+4];\n@!%q add.u32 %out, %out, %t;"
    assert results(body, 4, declarations) == [255, 256, 16, 16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n.visible .entry k(.param .u64 p)\n{\n", "no closing brace"),
        ("nonsense here;", "expected a variable, a kernel or a directive"),
        ("\n.visible .entry k(.param .q64 p)\n{\nret;\n}", "q64"),
        ("\n.visible .entry k()\n{\n.local nothing;\n}", "expected a declaration"),
        ("\n.visible .entry k()\n{\nmov.u32 %r1, [a b];\n}", "expected"),
    ],
)
def test_text_that_is_no_ptx(text, message):
    with pytest.raises((ptx.ParseError, KeyError), match=message):
        ptx.parse(HEADER + text)


@pytest.mark.parametrize(
    "instruction", ["wgmma.fence.sync.aligned;", "add.cc.u32 %out, %t, 1;", "mov.u64 %p1, %clock64;", "add.f32 %out, %q, 1;"]
)
def test_unknown_instructions_are_named_with_their_line(instruction):
    body = f".reg .b32 %out, %t;\n.reg .b64 %p<3>;\n.reg .pred %q;\n.loc 1 42 3\n{instruction}\n"
    code = ptx.parse(f'{HEADER}.visible .entry k()\n{{\n{body}ret;\n}}\n.file 1 "/somewhere/kernels.cu"')
    with pytest.raises(ptx.UnknownInstructionError, match=r"kernels\.cu:42") as caught:
        ptx.Machine().launch(code, "k", 1, 1)
    assert instruction.split(".")[0] in str(caught.value)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_parameters_lie_where_the_driver_puts_them(arch):
    code = program("image", arch)
    assert [(p.offset, p.size_bytes, p.align) for p in code.kernel("resample").parameters] == [(0, 64, 8)]
    assert code.target == f"sm_{arch.removeprefix('compute_')}"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_lines_of_the_source(arch):
    text = (SAMPLES / "image.cu").read_text().splitlines()
    stores = [i for i in program("image", arch).kernel("resample").instructions if i.name == "st" and i.space in ("global", "generic")]
    assert len(stores) == 3
    for store in stores:
        assert "a.tensor[" in text[store.location.outermost.line - 1]


def resample(code, **machine):
    gpu = ptx.Machine(**machine)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    scale, bias = [1 / 255, 0.5, 2.0], [0.0, 1.0, -3.0]
    source = gpu.buffer(image, name="image", writable=False)
    tensor = gpu.buffer(np.zeros((3, OUT_HEIGHT, OUT_WIDTH), np.float32), name="tensor", initialised=False)
    sizes = (WIDTH, HEIGHT, 3 * WIDTH, OUT_WIDTH, OUT_HEIGHT)
    params = struct.pack("<QQ5i6f4x", source.address, tensor.address, *sizes, *scale, *bias)
    counts = gpu.launch(code, "resample", (-(-OUT_WIDTH // 16), -(-OUT_HEIGHT // 8)), (16, 8), params)
    x = np.clip((np.arange(OUT_WIDTH) + 0.5) * WIDTH / OUT_WIDTH - 0.5, 0, WIDTH - 1)
    y = np.clip((np.arange(OUT_HEIGHT) + 0.5) * HEIGHT / OUT_HEIGHT - 0.5, 0, HEIGHT - 1)
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, WIDTH - 1), np.minimum(top + 1, HEIGHT - 1)
    wx, wy = (x - left)[:, None], (y - top)[:, None, None]
    rows = image * 1.0
    upper = rows[top][:, left] * (1 - wx) + rows[top][:, right] * wx
    lower = rows[bottom][:, left] * (1 - wx) + rows[bottom][:, right] * wx
    wanted = (upper * (1 - wy) + lower * wy) * scale + bias
    np.testing.assert_allclose(tensor.array(), wanted.transpose(2, 0, 1), rtol=1e-4, atol=1e-3)
    assert tensor.written.all()
    return counts


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("lanes", [1, 128, 300, 100_000])
def test_picture(arch, lanes):
    """However many blocks run together, the same comes out."""
    counts = resample(program("image", arch), lanes=lanes)
    assert counts.bytes_written == 4 * 3 * OUT_WIDTH * OUT_HEIGHT
    assert counts == resample(program("image", arch))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_counts(arch):
    data = np.arange(64, dtype=np.float32)
    counts = Run(program("memory", arch), "copy", data, np.zeros(64), block=64).counts
    assert (counts.bytes_read, counts.bytes_written, counts.bytes_moved) == (256, 256, 512)
    assert (counts.sectors_read, counts.sectors_written, counts.transactions_read, counts.transactions_written) == (8, 8, 8, 8)
    assert counts.float_operations == counts.barriers == counts.atomics == 0
    assert counts.instructions == 32 * counts.warp_instructions
    # From an odd place a warp's 128 bytes touch a sector more; every byte is still read once.
    shifted = Run(program("memory", arch), "copy_before", data, np.zeros(60), block=64, n=60, shift=-4).counts
    assert (shifted.bytes_read, shifted.sectors_read, shifted.transactions_read) == (240, 8, 9)
    wide = Run(program("memory", arch), "copy_by_four", data, np.zeros(64), block=32).counts
    assert (wide.bytes_read, wide.transactions_read, wide.transactions_written) == (256, 8, 8)
    # Each thread reads all eight values: 32 bytes, and a sector for each warp and reading.
    broadcast = Run(program("memory", arch), "local_array", data[:8], np.zeros(64)).counts
    assert (broadcast.bytes_read, broadcast.sectors_read) == (32, 1)
    assert broadcast.transactions_read == 2 * 8
    operations = Run(program("memory", arch), "accumulate", data, data, keep=True).counts
    assert operations.float_operations == 64


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_sectors_lie_where_the_addresses_say(arch):
    """A buffer that begins in the middle of a sector touches one more."""
    machine = ptx.Machine()
    machine.map(0x10010, np.arange(64, dtype=np.float32))
    machine.map(0x20000, np.zeros(64, np.float32))
    counts = machine.launch(program("memory", arch), "copy", 1, 64, struct.pack("<QQQ", 0x10010, 0x20000, 64))
    assert (counts.sectors_read, counts.transactions_read, counts.sectors_written) == (9, 10, 8)


MUTANTS = [
    ptx.Mutant("no guard", "if (x >= a.out_width || y >= a.out_height) return;", ""),
    ptx.Mutant("guard one too far", "x >= a.out_width ||", "x > a.out_width ||"),
    ptx.Mutant("swapped channels", "+ c] * (1.0f - wx) + top", "+ 2 - c] * (1.0f - wx) + top"),
    ptx.Mutant("row stride", "(y1) * a.stride", "(y1) * a.width"),
    ptx.Mutant("beyond the last row", "min(y0 + 1, a.height - 1)", "min(y0 + 1, a.height)"),
    ptx.Mutant("truncated weight", "wy = fy - y0", "wy = 0"),
]


def test_seeded_faults_are_caught(capsys):
    outcomes = ptx.caught(SAMPLES / "image.cu", MUTANTS, resample, cache=CACHE, arch=ptx.JETPACK_ARCHITECTURE)
    assert all(outcome.caught for outcome in outcomes)
    assert "out of bounds" in outcomes[4].how
    printed = capsys.readouterr().out
    assert "image.cu: caught 6 of 6 seeded faults" in printed and "caught no guard:" in printed


def test_a_fault_that_changes_nothing_is_missed(capsys):
    harmless = ptx.Mutant("other spelling", "const float value =", "const float value = 0.0f +")
    outcomes = ptx.caught(SAMPLES / "image.cu", [harmless, MUTANTS[0]], resample, cache=CACHE)
    assert [outcome.caught for outcome in outcomes] == [False, True]
    assert "caught 1 of 2" in capsys.readouterr().out


def test_mutants_must_fit_the_source():
    with pytest.raises(ValueError, match="exactly once in the source, got it 3 times"):
        ptx.Mutant("unclear", "a.bias", "a.scale").apply("a.bias a.bias a.bias")
    with pytest.raises(ValueError, match="got it 0 times"):
        ptx.Mutant("gone", "x", "y").apply("abc")
    with pytest.raises(ValueError, match="changes nothing"):
        ptx.Mutant("same", "x", "x").apply("x")


def test_the_right_source_must_pass(tmp_path):
    def never(code):
        raise AssertionError("no")

    with pytest.raises(AssertionError, match="no"):
        ptx.caught(SAMPLES / "image.cu", MUTANTS[:1], never, cache=tmp_path, arch=ptx.JETPACK_ARCHITECTURE)


def test_source_that_does_not_compile(tmp_path):
    source = tmp_path / "broken.cu"
    source.write_text('extern "C" __global__ void k() { undeclared = 1; }')
    with pytest.raises(RuntimeError, match="undeclared"):
        ptx.compile(source)
    with pytest.raises(Exception, match="undeclared"):
        ptx.compile_nvrtc(source)
    with pytest.raises(FileNotFoundError, match="expected nvcc at"):
        ptx.compile(source, nvcc=tmp_path / "none")


def test_compiled_text_is_kept_until_something_changes(tmp_path):
    header, source, cache = tmp_path / "value.h", tmp_path / "kernel.cu", tmp_path / "cache"
    header.write_text("#define VALUE 5\n")
    source.write_text('#include "value.h"\nextern "C" __global__ void k(int* out) { *out = VALUE + MORE; }')
    first = ptx.compile_nvrtc(source, defines=["MORE=1"], cache=cache)
    (kept,) = cache.iterdir()
    kept.write_text(first + "// kept")
    assert ptx.compile_nvrtc(source, defines=["MORE=1"], cache=cache).endswith("// kept")
    assert not ptx.compile_nvrtc(source, defines=["MORE=2"], cache=cache).endswith("// kept")
    header.write_text("#define VALUE 6\n")
    assert not ptx.compile_nvrtc(source, defines=["MORE=1"], cache=cache).endswith("// kept")
