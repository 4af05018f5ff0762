"""The parts of a Companion that run a network: what may stand for each, and what each runs on."""

from __future__ import annotations

from typing import Any, Protocol

from affectrt.dialogue import Dialogue
from affectrt.engine import ProviderSpec
from affectrt.perception import FaceObservation, TextObservation


class SeesFaces(Protocol):
    """What Companion asks of `face`; `Face` is one."""

    def __call__(self, frame: Any, stamp_ns: int | None = None, *, color: str | None = None) -> list[FaceObservation]: ...  # noqa: D102


class ReadsText(Protocol):
    """What Companion asks of `text`; `TextEmotion` is one."""

    def __call__(self, text: str, stamp_ns: int | None = None) -> TextObservation: ...  # noqa: D102


class Parts:
    """See `Companion`."""

    face: SeesFaces | None
    text: ReadsText | None
    dialogue: Dialogue

    @property
    def provider(self) -> dict[str, str]:
        """What each part really runs on: {"face": "CPUExecutionProvider", "text": ..., "dialogue": "llama.cpp/CPU"}.

        In this and the four below a part that is not there is left out, and so is one of your own that does not say.
        """
        return self._of_parts("provider")

    @property
    def device(self) -> dict[str, str]:
        """The device of each part: the one asked for ("auto", "cpu", "cuda:N"); of the dialogue the one that it runs on."""
        return self._of_parts("device")

    @property
    def precision(self) -> dict[str, str]:
        """The precision of each part: the one asked for; of the dialogue that of the variant."""
        return self._of_parts("precision")

    @property
    def providers(self) -> dict[str, tuple[ProviderSpec, ...] | None]:
        """The ONNX Runtime providers asked for by each part, or None: always None for the dialogue."""
        return self._of_parts("providers")

    @property
    def strict(self) -> dict[str, bool]:
        """Whether falling back was forbidden to each part."""
        return self._of_parts("strict")

    def _of_parts(self, name: str) -> dict[str, Any]:
        parts = {"face": self.face, "text": self.text, "dialogue": self.dialogue}
        return {part: getattr(one, name) for part, one in parts.items() if one is not None and hasattr(one, name)}
