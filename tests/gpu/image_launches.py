"""Launches of image_to_tensor.cu: pictures in device memory, regions, slots of a batch, and the fewest bytes for it."""

from dataclasses import dataclass

import kernels
import numpy as np
import ptx
import reference
import structs

PACKED = {"rgb8": (3, 0, 1, 2), "bgr8": (3, 2, 1, 0), "rgba8": (4, 0, 1, 2), "bgra8": (4, 2, 1, 0), "mono8": (1, 0, 0, 0)}
COLORS = (*PACKED, "nv12", "yuv422_yuy2")
TYPES = {"f32": np.float32, "f16": np.float16, "s8": np.int8}
MEAN, SCALE, PAD = (10.0, 20.0, 30.0), (0.01, 0.005, 0.02), (7.0, 8.0, 9.0)
QUANT_SCALE, ZERO_POINT = 0.021, -7
# Of values up to 5: float32, and six decimals in the constants of the colour conversion; an eleven-bit mantissa; one level, where rounding
# decides.
LIMIT = {"f32": 1e-4, "f16": 4e-3, "s8": 1.0}


def picture(color: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    shape = {"mono8": (height, width), "nv12": (height * 3 // 2, width), "yuv422_yuy2": (height, width, 2)}
    return np.random.default_rng(seed).integers(0, 256, shape.get(color, (height, width, 4 if "a8" in color else 3)), dtype=np.uint8)


@dataclass(frozen=True)
class Launch:
    """One launch on one picture. `apart_bytes` lie between its rows, `shift` elements before the tensor, `apart` after each slot."""

    color: str
    size: tuple[int, int]  # height, width
    maps: tuple[tuple[float, ...], ...]
    out: tuple[int, int]  # height, width
    kind: str = "f32"
    layout: str = "nchw"
    tensor_color: str = "rgb"
    count: int | None = None
    apart_bytes: int = 0
    shift: int = 0
    apart: int = 0

    @property
    def channels(self) -> int:
        return 1 if self.tensor_color == "gray" else 3

    def run(self, code: ptx.Program) -> tuple[ptx.Counts, np.ndarray]:
        """The slots in use, (count, C, H, W) or (count, H, W, C). Fails if a byte outside them was written, or one in them was not."""
        gpu, args, frame = kernels.Gpu(), structs.ImageToTensorArgs(), picture(self.color, *self.size)
        rows = frame.reshape(frame.shape[0], -1)
        height, width = self.size

        def plane(pixels: np.ndarray, name: str) -> int:
            apart = np.pad(pixels, ((0, 0), (0, self.apart_bytes))).ravel()
            return gpu.upload(apart[: apart.size - self.apart_bytes], name).address  # ends with its last pixel

        args.data, args.row_bytes = plane(rows[:height], "picture"), rows.shape[1] + self.apart_bytes
        if self.color == "nv12":
            args.uv, args.uv_row_bytes = plane(rows[height:], "chroma"), rows.shape[1] + self.apart_bytes
        args.width_px, args.height_px = width, height
        args.source = {"nv12": 1, "yuv422_yuy2": 2}.get(self.color, 0)
        args.pixel_bytes, args.red, args.green, args.blue = PACKED.get(self.color, (0, 0, 0, 0))

        out_height, out_width = self.out
        size = self.channels * out_height * out_width
        args.slot_step = size + self.apart
        blank = np.zeros(self.shift + args.slot_step * len(self.maps), TYPES[self.kind])
        out = gpu.empty(blank.shape, TYPES[self.kind], "tensor")
        args.out = out.address + self.shift * blank.itemsize
        args.regions = gpu.upload(np.array(self.maps, np.float32), "regions").address
        if self.count is not None:
            args.count = gpu.upload(np.array([self.count], np.int32), "count").address
        args.channel_step = 1 if self.layout == "nhwc" else out_height * out_width
        args.out_width_px, args.out_height_px, args.channels = out_width, out_height, self.channels
        args.order = (2, 1, 0) if self.tensor_color == "bgr" else (0, 1, 2)
        args.mean, args.scale, args.pad_value = MEAN, SCALE, PAD
        args.quant_scale, args.zero_point = QUANT_SCALE, ZERO_POINT
        grid = (-(-out_height * out_width // 256), 1, len(self.maps))
        counts = gpu.launch(code, f"image_to_tensor_{self.kind}", grid, 256, args)

        used = len(self.maps) if self.count is None else self.count
        flags = kernels.written(out, blank)[self.shift :].reshape(len(self.maps), -1)
        wanted = np.zeros_like(flags)
        wanted[:used, :size] = True
        assert not kernels.written(out, blank)[: self.shift].any() and (flags == wanted).all(), "wrote other elements than it should"
        slots = out.array()[self.shift :].reshape(len(self.maps), -1)[:used, :size]
        shape = (self.channels, *self.out) if self.layout == "nchw" else (*self.out, self.channels)
        return counts, slots.reshape(used, *shape)

    def check(self, code: ptx.Program) -> ptx.Counts:
        counts, got = self.run(code)
        frame, channels = picture(self.color, *self.size), self.channels
        for slot, to_source in zip(got, self.maps, strict=False):
            want = reference.image_to_tensor(
                frame,
                self.color,
                to_source,
                *self.out[::-1],
                self.layout,
                self.tensor_color,
                MEAN[:channels],
                SCALE[:channels],
                PAD[:channels],
            )
            if self.kind == "s8":
                want = np.clip(np.rint(want / QUANT_SCALE) + ZERO_POINT, -128, 127)
            assert np.isfinite(slot.astype(np.float64)).all()
            difference = np.abs(slot.astype(np.float64) - want).max(axis=0 if self.layout == "nchw" else 2)
            sure = ~reference.near_edge(to_source, *self.out[::-1], self.size[1], self.size[0])
            # A coordinate's last bit, times the steepest step between two pixels.
            limit = LIMIT[self.kind] + max(self.size) * 2.0**-23 * 255 * max(SCALE)
            assert difference[sure].max(initial=0) <= limit, f"differs by {difference[sure].max()}"
            if self.kind == "s8":
                assert (difference[sure] > 0).mean() <= 0.02
        return counts

    def fewest_sectors(self) -> int:
        """Distinct 32-byte sectors of the picture that hold a byte which the reference samples, and sectors of the tensor."""
        height, width = self.size
        used = self.maps if self.count is None else self.maps[: self.count]
        frame = picture(self.color, *self.size)
        row_bytes = frame.reshape(frame.shape[0], -1).shape[1] + self.apart_bytes
        touched: set[tuple[str, int]] = set()
        for to_source in used:
            a, b, c, d, e, f = (np.float32(v) for v in to_source)
            x, y = np.meshgrid(np.arange(self.out[1], dtype=np.float32), np.arange(self.out[0], dtype=np.float32))
            sx, sy = (a * x + (b * y + c)).ravel(), (d * x + (e * y + f)).ravel()
            inside = (sx >= -0.5) & (sx <= width - 0.5) & (sy >= -0.5) & (sy <= height - 0.5)
            x0 = np.clip(np.floor(sx[inside]), 0, width - 1).astype(int)
            y0 = np.clip(np.floor(sy[inside]), 0, height - 1).astype(int)
            for column in (x0, np.minimum(x0 + 1, width - 1)):
                for row in (y0, np.minimum(y0 + 1, height - 1)):
                    touched |= self._bytes(column, row, row_bytes)
        slot_bytes = self.channels * self.out[0] * self.out[1] * np.dtype(TYPES[self.kind]).itemsize
        assert self.shift == 0 and slot_bytes % 32 == 0 and self.apart == 0, "counted for whole sectors only"
        return len({(plane, at // 32) for plane, at in touched}) + len(used) * slot_bytes // 32

    def _bytes(self, column: np.ndarray, row: np.ndarray, row_bytes: int) -> set[tuple[str, int]]:
        if self.color == "nv12":
            chroma = (row // 2) * row_bytes + (column & ~1)
            return {("y", int(v)) for v in row * row_bytes + column} | {("uv", int(v) + k) for v in chroma for k in (0, 1)}
        if self.color == "yuv422_yuy2":
            pair = row * row_bytes + 2 * (column & ~1)
            return {("p", int(v)) for v in row * row_bytes + 2 * column} | {("p", int(v) + k) for v in pair for k in (1, 3)}
        step, *offsets = PACKED[self.color]
        return {("p", int(v) + k) for v in row * row_bytes + step * column for k in offsets}
