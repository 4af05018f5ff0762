# Generated from the built extension by .ci/stubs; do not edit.
# ruff: noqa
# mypy: disable-error-code="type-arg"
"""
The native half of affectrt. The package's own modules are its public face.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import os
import pathlib
import typing

class PackError(RuntimeError):
    """
    A pack that is missing, damaged, or not what its manifest says. The text names the file, what was expected and what came.
    """

class EngineError(RuntimeError):
    """
    A network that could not be opened or run, or an inference library that is not there.
    """

class DeviceError(RuntimeError):
    """
    A device or provider that was asked for and cannot be had.
    """

class Pack:
    """
    An opened pack: every path, size and hash in it has been checked.
    """
    @staticmethod
    def open(folder: os.PathLike | str | bytes, *, check_hashes: bool = True, remote_files: os.PathLike | str | bytes = ...) -> Pack:
        """
        Open the pack in a folder that holds pack.json. Pulled files are looked for under remote_files/<sha256>/<file name>.

        check_hashes=False leaves out the SHA-256 of each file, for listing. Raises PackError.
        """
    def file(self, path: str) -> pathlib.Path:
        """
        Absolute path of a file listed in the manifest. Raises PackError if it is not listed, or remote and not pulled.
        """
    def variant(self, wanted: str = "auto") -> str:
        """
        Name of the variant of that name, or of that precision, or the first for "auto". Raises PackError listing what there is.
        """
    @property
    def folder(self) -> pathlib.Path:
        """
        Absolute path of the pack's folder.
        """
    @property
    def manifest_json(self) -> str:
        """
        The manifest as JSON, as parse_manifest returns it.
        """
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...

class CancelFlag:
    """
    A flag to stop a native computation from any thread. Whoever hands `data_address` to a C library keeps this object alive until the library has let go of it.
    """
    def __init__(self) -> None: ...
    def clear(self) -> None:
        """
        Allow the next computation.
        """
    def is_set(self) -> bool: ...
    def set(self) -> None:
        """
        Ask the computation to stop. Never waits.
        """
    @property
    def callback_address(self) -> int:
        """
        Address of `bool affectrt_abort(void* data)`, C code that reads the flag.
        """
    @property
    def data_address(self) -> int:
        """
        Address to pass as that function's `data`; valid while this object lives.
        """

class CudaDevice:
    """
    A GPU, as the driver describes it.
    """
    @property
    def cuda_version(self) -> str:
        """
        The CUDA version that the driver serves, such as "12.6".
        """
    @property
    def integrated(self) -> bool:
        """
        Whether it shares its memory with the CPU, as a Jetson's does.
        """
    @property
    def memory_bytes(self) -> int: ...
    @property
    def model(self) -> str: ...
    @property
    def multiprocessors(self) -> int: ...
    @property
    def name(self) -> str:
        """
        What `device=` takes.
        """
    @property
    def sm(self) -> int:
        """
        Compute capability, 10 * major + minor.
        """

class CudaStream:
    """
    A stream of a GPU's work.
    """
    def __init__(self, device: str = "cuda:0") -> None:
        """
        Raises ValueError for a name that is none, DeviceError where there is no such GPU.
        """
    def synchronize(self) -> None:
        """
        Waits for all that was put on it.
        """
    def wait(self, handle: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        What it gets from now on starts after all that another stream has been given.
        """
    @property
    def handle(self) -> int:
        """
        The driver's handle, as other libraries take it.
        """

class CudaBuffer:
    """
    Memory of a GPU.
    """
    def __init__(self, bytes: typing.SupportsInt | typing.SupportsIndex, *, device: str = "cuda:0") -> None: ...
    def copy_from(self, other: CudaBuffer, bytes: typing.SupportsInt | typing.SupportsIndex, stream: CudaStream) -> None:
        """
        Puts a copy of the first bytes of another on a stream; both must live until it is done.
        """
    def read(
        self, values: numpy.typing.NDArray[numpy.uint8], stream: CudaStream, *, at_bytes: typing.SupportsInt | typing.SupportsIndex = 0
    ) -> None:
        """
        Fills C-contiguous uint8 from there, and waits. Raises ValueError if there is not that much.
        """
    def write(
        self, values: numpy.typing.NDArray[numpy.uint8], stream: CudaStream, *, at_bytes: typing.SupportsInt | typing.SupportsIndex = 0
    ) -> None:
        """
        Copies C-contiguous uint8 there, and waits. Raises ValueError if it does not fit.
        """
    @property
    def bytes(self) -> int: ...
    @property
    def data(self) -> int:
        """
        Its address.
        """

class CudaEvent:
    """
    A point in the work of a stream, with the time when it was reached.
    """
    def __init__(self, *, device: str = "cuda:0") -> None: ...
    def ms_since(self, earlier: CudaEvent) -> float:
        """
        Milliseconds from another; both must be done.
        """
    def record(self, stream: CudaStream) -> None:
        """
        Marks the end of what a stream has been given until now.
        """
    def synchronize(self) -> None:
        """
        Waits for it.
        """

class CudaKernel:
    """
    A kernel of csrc/ops/OP.cu on a GPU, as this build carries it.
    """
    def __init__(self, op: str, name: str, *, device: str = "cuda:0") -> None:
        """
        Raises DeviceError where this build carries none that fits the GPU and its driver.
        """
    def launch(
        self,
        grid: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"],
        block: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"],
        parameters: bytes,
        stream: CudaStream,
        *,
        shared_bytes: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None:
        """
        Puts a launch on a stream; parameters are the bytes of the kernel's struct. Nothing checks the addresses in it.
        """

class CudaGraph:
    """
    Work that is captured once and launched again as a whole.
    """
    def __init__(self, stream: CudaStream, work: collections.abc.Callable[[], None]) -> None:
        """
        Calls `work`, which puts its work on the stream and does not wait; nothing runs yet.
        """
    def launch(self, stream: CudaStream) -> None: ...

class CudaImage:
    """
    A picture in a GPU's memory, which belongs to somebody else.
    """
    @property
    def data(self) -> int:
        """
        Address of the first pixel.
        """
    @property
    def height(self) -> int: ...
    @property
    def row_bytes(self) -> int: ...
    @property
    def uv(self) -> int:
        """
        Address of the UV plane of nv12, else 0.
        """
    @property
    def uv_row_bytes(self) -> int: ...
    @property
    def width(self) -> int: ...

class Engine:
    """
    One network, opened once, run from any number of threads.
    """
    def __init__(
        self,
        model: os.PathLike | str | bytes,
        *,
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
        spinning: bool = False,
    ) -> None: ...
    def run(self, feeds: dict) -> dict:
        """
        Run once. `feeds`: input name to C-contiguous array of the input's dtype, not copied. Returns output name to array.
        """
    @property
    def fallbacks(self) -> list[str]:
        """
        Providers that could not be had, each with the reason.
        """
    @property
    def inputs(self) -> list:
        """
        List of (name, dtype, shape); -1 is a free dimension.
        """
    @property
    def outputs(self) -> list: ...
    @property
    def provider(self) -> str:
        """
        The provider that the network really runs on.
        """

class FacePipeline:
    """
    From a frame to its faces; see affectrt.Face.
    """
    def __call__(self, frame: typing.Any, color: str, stamp_ns: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        Returns (faces, timings): a tuple a face, and ms of detection, expression, landmarks, blendshapes and in all.
        """
    def __init__(
        self,
        detector: Pack,
        *,
        expression: Pack | None = None,
        landmarks: Pack | None = None,
        blendshapes: Pack | None = None,
        precision: str = "auto",
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
        max_faces: typing.SupportsInt | typing.SupportsIndex = 16,
        smoothing_ms: typing.SupportsFloat | typing.SupportsIndex = 250.0,
    ) -> None: ...
    def adopt(self, other: FacePipeline) -> None:
        """
        Go on with the tracks of another pipeline, before the first call of this one.
        """
    def reset(self) -> None: ...
    @property
    def blendshape_names(self) -> list[str]: ...
    @property
    def fallbacks(self) -> list[str]: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def on_gpu(self) -> bool:
        """
        Whether all stages run on a GPU, from the frame on.
        """
    @property
    def provider(self) -> str: ...

class FaceDetector:
    """
    Faces of a picture.
    """
    def __call__(self, image: typing.Any, color: str) -> numpy.typing.NDArray[numpy.float32]:
        """
        Rows of score, x0, y0, x1, y1, key points; float32, pixels, best first.
        """
    def __init__(
        self,
        pack: Pack,
        *,
        precision: str = "auto",
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None: ...
    @property
    def key_points(self) -> list[str]: ...
    @property
    def provider(self) -> str: ...

class CropModel:
    """
    A network over whole pictures; see affectrt.FaceExpression.
    """
    def __init__(
        self,
        pack: Pack,
        *,
        precision: str = "auto",
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None: ...
    def classify(self, images: list, color: str) -> tuple:
        """
        Probabilities (N, C) float32 and sharpness (N,) float32 of N pictures.
        """
    @property
    def fallbacks(self) -> list[str]: ...
    @property
    def provider(self) -> str: ...

class FaceLandmarks:
    """
    Dense landmarks of a face.
    """
    def __init__(
        self,
        pack: Pack,
        *,
        precision: str = "auto",
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None: ...
    def whole(self, image: typing.Any, color: str) -> typing.Any:
        """
        Landmarks (count, 3) float32 of a picture that is a face crop, or None if it shows no face.
        """
    @property
    def provider(self) -> str: ...

class Blendshapes:
    """
    ARKit blendshapes from landmarks.
    """
    def __init__(
        self,
        pack: Pack,
        *,
        precision: str = "auto",
        providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
        strict: bool = False,
        threads: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None: ...
    def from_points(self, points: typing.Any) -> numpy.typing.NDArray[numpy.float32]:
        """
        One value in [0, 1] per label from the network's own points, (146, 2) float32.
        """
    @property
    def provider(self) -> str: ...

class SkipCrfStream:
    """
    A dialogue as it goes on: after each utterance, what skip_crf_decode gives for it so far.
    """
    def __init__(
        self,
        *,
        start: typing.Any,
        end: typing.Any,
        self_transitions: typing.Any,
        other_transitions: typing.Any,
        history: typing.SupportsInt | typing.SupportsIndex = 1000,
    ) -> None: ...
    def __len__(self) -> int: ...
    def push(self, emissions: typing.Any, speaker: typing.SupportsInt | typing.SupportsIndex) -> list[int]:
        """
        One more utterance, (K,) float32. Returns the positions of earlier ones, oldest first, whose tag is now another.
        """
    @property
    def probs(self) -> numpy.typing.NDArray[numpy.float32]:
        """
        (K,) float32: probabilities of the newest utterance's tags, as skip_crf_marginals gives them for the dialogue so far.
        """
    @property
    def score(self) -> float: ...
    @property
    def tags(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        Of the last utterances, as many as `history` at most: int32.
        """

def align_box(
    detection: typing.Any,
    *,
    scale: typing.SupportsFloat | typing.SupportsIndex,
    shift_x: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    shift_y: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    square: bool = True,
    rotate: bool = False,
    width: typing.SupportsInt | typing.SupportsIndex,
    height: typing.SupportsInt | typing.SupportsIndex,
) -> typing.Annotated[list[float], "FixedSize(6)"]:
    """
    The map of a detection's box, (1, 5 + 2 K) float32, onto a tensor; its first two key points are the right and the left eye.
    """

def align_points(source: typing.Any, target: typing.Any) -> typing.Annotated[list[float], "FixedSize(6)"]:
    """
    Least-squares similarity from target points (N, 2) float32 to source points (Umeyama, 1991).
    """

def cuda_devices() -> list[CudaDevice]:
    """
    All GPUs. Raises DeviceError where there is no driver, or no GPU.
    """

def cuda_image(image: typing.Any, color: str, *, stream: CudaStream, name: str = "image") -> CudaImage:
    """
    Takes a picture from __dlpack__ or __cuda_array_interface__ without a copy, for work on a stream. Raises TypeError for memory that is not a GPU's, ValueError for a dtype, shape, layout or GPU that does not fit.
    """

def cuda_kernel_images() -> list[tuple[str, int, int, int, int]]:
    """
    The compiled kernels in this build, none where it was made without nvcc: (op, SM or 0 for all, oldest driver, first driver that is too
    new or 0, bytes), drivers as 1000 * major + 10 * minor of CUDA.
    """

def cuda_library() -> str:
    """
    The driver library that this process has open; opens it. Raises DeviceError that says what is missing.
    """

def decode_detections(
    scores: typing.Any,
    boxes: typing.Any,
    *,
    strides: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    anchors_per_cell: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    width: typing.SupportsInt | typing.SupportsIndex,
    height: typing.SupportsInt | typing.SupportsIndex,
    unit_px: typing.SupportsFloat | typing.SupportsIndex = 1.0,
    score_threshold: typing.SupportsFloat | typing.SupportsIndex,
    key_points: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    SSD outputs to rows of score, x0, y0, x1, y1, key points in tensor pixels, best first.
    """

def emotion_layernorm(
    x: typing.Any,
    probs: typing.Any,
    table: typing.Any,
    gamma: typing.Any,
    beta: typing.Any,
    *,
    epsilon: typing.SupportsFloat | typing.SupportsIndex = 9.999999747378752e-06,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    LayerNorm(x + probs @ table) * gamma + beta, float32: x (batch, tokens, width), probs (batch, emotions), table (emotions, width).
    """

def fit_whole(
    width: typing.SupportsInt | typing.SupportsIndex,
    height: typing.SupportsInt | typing.SupportsIndex,
    tensor_width: typing.SupportsInt | typing.SupportsIndex,
    tensor_height: typing.SupportsInt | typing.SupportsIndex,
    fit: str,
) -> typing.Annotated[list[float], "FixedSize(6)"]:
    """
    The map of a whole picture onto a tensor, "stretch" or "letterbox".
    """

def image_to_tensor(
    image: typing.Any,
    color: str,
    *,
    to_source: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(6)"],
    width: typing.SupportsInt | typing.SupportsIndex,
    height: typing.SupportsInt | typing.SupportsIndex,
    layout: str = "nchw",
    tensor_color: str = "rgb",
    mean: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
    scale: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
    pad_value: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Crop or warp, resample, convert, normalise and lay out in one pass. `to_source` (a, b, c, d, e, f) maps a tensor pixel (x, y) to the
    picture's (a x + b y + c, d x + e y + f). Returns float32 (C, H, W) or (H, W, C) of (pixel - mean) * scale.
    """

def is_on_gpu(object: typing.Any) -> bool:
    """
    Whether an object says that its memory is a GPU's.
    """

def masked_attention(
    query: typing.Any,
    key_same: typing.Any,
    key_other: typing.Any,
    value: typing.Any,
    speakers: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    mask: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    *,
    scale: typing.SupportsFloat | typing.SupportsIndex = 1.0,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Attention with one set of keys for a query's own speaker and one for others. (batch, heads, tokens, width) float32; speakers and mask are
    batch * tokens numbers, one item after another; an empty mask hides nothing.
    """

def memory_codes(semantics: typing.Any) -> tuple:
    """
    8-bit codes of rows (N, D) float32: (codes (N, D) int8, bounds (N, 3) float32: scale, norm of scale * codes, and what the norm of
    row - scale * codes is not above). Each row's come of that row alone.
    """

def memory_kernels() -> list[str]:
    """
    What this processor can run memory_top_k with, the fastest first.
    """

def memory_top_k(
    semantic: typing.Any,
    emotion: typing.Any,
    semantics: typing.Any,
    emotions: typing.Any,
    *,
    combination: str,
    k: typing.SupportsInt | typing.SupportsIndex = 10,
    candidates: typing.SupportsInt | typing.SupportsIndex = 20,
    allowed: typing.Any | None = None,
    codes: typing.Any | None = None,
    code_bounds: typing.Any | None = None,
    kernels: typing.SupportsInt | typing.SupportsIndex = 0,
) -> tuple:
    """
    The k nearest memories, nearest first, of equally near ones the lower index first: (index int64, distance float32), fewer where
    fewer are allowed. semantic (D,), emotion (E,), semantics (N, D), emotions (N, E): float32; None where the combination needs none.
    Distances (Emotional RAG, 2024): d_sem Euclidean, d_emo cosine, by `combination`: semantic; emotional; C-A, their sum; C-M, their
    product; S-C, the k nearest by d_emo of the `candidates` nearest by d_sem; S-S the other way round. A row of zeros as emotion
    lies at d_emo 1; what is not finite lies at infinity. allowed: (N,) bool. codes and code_bounds, as memory_codes gives them for
    these very rows, make it quicker and the result no different. kernels: which of
    memory_kernels() computes; the numbers are the same. ValueError or TypeError
    for what does not fit, a query that is not finite, or zeros as emotion where one is needed.
    """

def open_variant(
    pack: Pack,
    wanted: str = "auto",
    *,
    providers: collections.abc.Sequence[tuple[str, collections.abc.Mapping[str, str]]] = [],
    strict: bool = False,
    threads: typing.SupportsInt | typing.SupportsIndex = 0,
) -> tuple[str, Engine]:
    """
    Name of a variant and its network. "auto": the first that needs no provider, or one that was asked for and is to be had.

    Raises PackError, EngineError; DeviceError if the variant needs a provider that was not asked for, or none can run.
    """

def ort_info() -> dict:
    """
    Opens ONNX Runtime if need be: its version, library and providers. EngineError if there is none.
    """

def ort_is_open() -> bool: ...
def parse_manifest(text: str) -> str:
    """
    The contents of a pack.json (str, or bytes of UTF-8), checked, as JSON with its keys in the order of the format's page.

    Raises PackError naming the place, what was expected and what came.
    """

def provider_devices() -> list:
    """
    What registered libraries offer, beside ONNX Runtime's own: (provider, vendor, whether it is a GPU, ordinal).
    """

def provider_library(name: str) -> pathlib.Path:
    """
    Path of the library that was registered under a name; an empty path if none was.
    """

def read_affect(
    values: typing.Any,
    ratings: typing.Any,
    *,
    height_px: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
    sharpness: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
    stamp_ns: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    activation: str = "softmax",
    temperature: typing.SupportsFloat | typing.SupportsIndex = 1.0,
    smoothing_ms: typing.SupportsFloat | typing.SupportsIndex = 250.0,
    min_face_px: typing.SupportsFloat | typing.SupportsIndex = 24.0,
    min_sharpness: typing.SupportsFloat | typing.SupportsIndex = 0.009999999776482582,
    full_height_px: typing.SupportsFloat | typing.SupportsIndex = 48.0,
    unknown_below: typing.SupportsFloat | typing.SupportsIndex = 0.0,
) -> list:
    """
    N frames of one face: what a network gave, (N, labels) float32, to tuples (raw probs, smoothed probs, valence, arousal, dominance, confidence,
    label or -1, doubt: 0 none, 1 tiny, 2 blurred, 3 uncertain). `ratings` is (3, labels) float32.
    """

def register_provider_library(name: str, library: os.PathLike | str | bytes) -> None:
    """
    Load a provider that comes as a library of its own, for good; networks then find it by its provider's name.

    name: what ONNX Runtime calls the library, by convention the provider's name. The same pair again changes nothing. Raises
    DeviceError: the library cannot be loaded, another has that name, or ONNX Runtime is older than 1.22.
    """

def set_ort_library(path: str) -> None:
    """
    Path of the ONNX Runtime library to open; AFFECTRT_ORT_LIBRARY comes before it. EngineError if another is open already.
    """

def set_thread_pool(*, threads: typing.SupportsInt | typing.SupportsIndex = 0, spinning: bool = False) -> None:
    """
    Size (0: all cores) and idling of the pool that all engines share; before the first engine only.
    """

def shape_ranges(pack: Pack) -> list:
    """
    Between which shapes an engine of a pack serves: (input, least, usual, most) for each input with a free dimension.

    TensorRT providers get them with the pack's networks, unless their own options name some.
    """

def sharpness(tensor: typing.Any, *, layout: str = "nchw") -> float:
    """
    How sharp a tensor of 1 or 3 channels is, float32: mean square of its second differences over its variance, as in 64x64.
    """

def skip_crf_decode(
    emissions: typing.Any,
    speakers: typing.Any,
    *,
    lengths: typing.Any | None = None,
    start: typing.Any,
    end: typing.Any,
    self_transitions: typing.Any,
    other_transitions: typing.Any,
) -> tuple:
    """
    The best sequence of tags of each dialogue by a SkipCRF (EmotionIC, Liu et al., 2023), exactly: tags (B, T) int32, -1 beyond a dialogue's
    length, and scores (B,) float64. emissions (B, T, K) float32 and speakers (B, T) integers; lengths (B,) are integers, None: all are T.
    start and end (K,), self_transitions and other_transitions (K, K) from row to column, float32 logarithms of which -inf forbids. Where
    every sequence is forbidden, tags are -1 and the score is -inf. Of equally good sequences that one wins whose tags are lowest, compared
    at the last utterance first, then at the end of the run before it, then backwards through the last run, and so on. T K^2 bytes at work.
    """

def skip_crf_marginals(
    emissions: typing.Any,
    speakers: typing.Any,
    *,
    lengths: typing.Any | None = None,
    start: typing.Any,
    end: typing.Any,
    self_transitions: typing.Any,
    other_transitions: typing.Any,
) -> tuple:
    """
    The probability of each tag over all sequences of a SkipCRF, (B, T, K) float32, zeros beyond a dialogue's length, and the logarithm of
    the sum of exp(score) over all sequences, (B,) float64. Arguments as of skip_crf_decode. 8 T K^2 bytes at work.
    """

def smooth(
    state: typing.Any,
    sample: typing.Any,
    *,
    dt_ms: typing.SupportsFloat | typing.SupportsIndex,
    tau_ms: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    state + (1 - exp(-dt / tau)) (sample - state), float32.
    """

def weighted_nms(
    detections: typing.Any, *, iou_threshold: typing.SupportsFloat | typing.SupportsIndex
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Score-weighted mean of overlapping rows, which come best first.
    """

MIN_SHARPNESS: float = 0.009999999776482582
compiler: str
numpy_abi_version: int
