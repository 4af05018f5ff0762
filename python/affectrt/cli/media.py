"""Reads pictures, folders of pictures, videos and cameras into frames, and writes pictures; all of it needs the extra `video`.

Every picture leaves here as rgb8: (H, W, 3) uint8, upright. Files are written under a temporary name and renamed when complete.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrt.cli.errors import note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"})
MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded: a few bytes of header can ask for any amount of memory."""


@dataclass(frozen=True)
class Frame:
    """One picture and the time of its capture."""

    rgb: NDArray[np.uint8]
    """(H, W, 3) uint8."""
    stamp_ns: int
    index: int
    name: str
    """File name for pictures, else ""."""


class MissingExtraError(ImportError):
    """A package that only this command needs is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the package {package}: pip install "affectrt[{extra}]"')


def pillow() -> Any:
    """The module PIL.Image, or an error that names the extra."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "video", "reading and writing pictures") from None
    return Image


def pyav() -> Any:
    """The module av, or an error that names the extra."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("av", "video", "reading and writing videos") from None
    return av


def is_image(path: Path) -> bool:
    """Whether the name is that of a picture."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB, turned upright as its EXIF data say.

    Raises ValueError if the file is empty, no picture, damaged, or has more than `MAX_PIXELS` pixels; OSError if it cannot be read.
    """
    import numpy as np

    image_module = pillow()
    from PIL import ImageOps, UnidentifiedImageError

    check_readable(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own warning about large pictures; the check below is stricter
        try:
            with image_module.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ValueError(f"{path}: {width}x{height} pixels, at most {MAX_PIXELS // 1_000_000} megapixels are read")
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith(("I", "F")):  # 16-bit gray
                    upright = image_module.fromarray((np.asarray(upright, dtype=np.float32) / 257.0).clip(0, 255).astype(np.uint8))
                pixels = np.asarray(upright.convert("RGB"))
        except image_module.DecompressionBombError as error:
            raise ValueError(f"{path}: {error}, at most {MAX_PIXELS // 1_000_000} megapixels are read") from None
        except UnidentifiedImageError:
            raise ValueError(f"{path}: not a picture that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF or PNM was expected)") from None
        except (OSError, SyntaxError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ValueError(f"{path}: the picture is damaged or cut short ({error})") from None
    return np.ascontiguousarray(pixels)


def check_readable(path: Path) -> None:
    """Refuse what is no file, or an empty one."""
    if path.is_dir():
        raise ValueError(f"{path}: a file was expected, this is a folder")
    if path.exists() and not path.is_file():  # a pipe or a device could keep us waiting for ever
        raise ValueError(f"{path}: a file was expected, this is a pipe, socket or device")
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError(f"{path}: the file is empty")


def folder_images(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order people count in (2 before 10). ValueError if there are none."""
    found = [path for path in folder.iterdir() if is_image(path) and path.is_file()]
    if not found:
        raise ValueError(f"{folder}: no pictures in this folder (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")

    def order(path: Path) -> list[tuple[int, int, str]]:
        return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", path.name) if part]

    return sorted(found, key=order)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; renamed to `path` on success, removed on any failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)  # noqa: PTH105 (atomic, also over an existing file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_image(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture; the suffix says the format. Nothing is left behind if that fails."""
    image = pillow().fromarray(rgb)
    with atomic(path) as partial:
        if path.suffix.lower() in (".jpg", ".jpeg"):
            image.save(partial, quality=92)
        else:
            image.save(partial)


class Video:
    """A video file: iterate for its frames; `total` frames and `rate` as far as the file declares them.

    Stamps are the file's own presentation times, in ns. Damaged packets are skipped and counted in `damaged`. ValueError if it is no video.
    """

    def __init__(self, path: Path) -> None:
        av = pyav()
        check_readable(path)
        self.path = path
        self.damaged = 0
        self.read = 0
        # A title in an odd encoding is no reason to refuse a film. PyAV 19 thinks so too and has no such argument any more.
        lenient = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
        try:
            self._container = av.open(str(path), **lenient)
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(f"{path}: neither a picture nor a video that can be read ({_reason(error)})") from None
        if not self._container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing that can be read"
            self._container.close()
            raise ValueError(f"{path}: no video in this file, only {kinds}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            self._container.close()
            raise ValueError(f"{path}: {width}x{height} pixels a frame, at most {MAX_PIXELS // 1_000_000} megapixels are read")
        self.total: int | None = self._stream.frames or None
        self.rate: float = float(self._stream.average_rate or self._stream.guessed_rate or 25)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        for picture in self._decoded():
            stamp_ns = int(self.read / self.rate * 1e9) if picture.pts is None else int(picture.pts * picture.time_base * 1_000_000_000)
            frame = Frame(upright(picture), stamp_ns, self.read, "")
            self.read += 1
            yield frame
        if not self.read:
            raise ValueError(f"{self.path}: no frame of this video can be decoded; it is damaged or cut short")

    def _decoded(self) -> Iterator[Any]:
        errors = pyav().error.FFmpegError
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except errors:  # a damaged container: what was read stands
                self.damaged += 1
                return
            try:
                yield from packet.decode()
            except errors:
                self.damaged += 1

    @property
    def missing(self) -> str:
        """Why the video did not come whole, or ""."""
        if self.total and self.read < self.total:
            return f"{self.path}: cut short or damaged: {self.read} frames could be read, {self.total} were expected"
        if self.damaged:
            return f"{self.path}: damaged: {self.damaged} packets could not be decoded"
        return ""


def upright(picture: Any) -> NDArray[np.uint8]:
    """The pixels of an av.VideoFrame as (H, W, 3) rgb8, turned as the file says a player must turn them."""
    import numpy as np

    pixels = picture.to_ndarray(format="rgb24")
    turns = round(getattr(picture, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def warn_of_missing(video: Video) -> bool:
    """Say on stderr if the video did not come whole; True if so."""
    if video.missing:
        note(f"error: {video.missing}")
    return bool(video.missing)
