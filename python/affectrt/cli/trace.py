"""What conditioned an answer, as lines for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affectrt.cli.output import counted

if TYPE_CHECKING:
    from affectrt.companion import Companion, CompanionReply
    from affectrt.dialogue.prompt import PromptTrace

_WIDTH = 100


def layer_tokens(bot: Companion, trace: PromptTrace) -> dict[str, int]:
    """Tokens of each layer, by its name."""
    return trace.prompt.costs(bot.dialogue.count_tokens)


def told(bot: Companion, reply: CompanionReply) -> str:
    """A line for each layer with its tokens and its text; then what was said before, the template, and the hash."""
    from affectrt.dialogue.prompt import PromptTrace, one_line

    trace = reply.trace.prompt
    if trace is None:
        return "  the guard answered; no model was asked"
    costs = layer_tokens(bot, trace)
    lines = [
        f"  {layer.layer:<9} {costs[layer.layer]:>4} tokens  {layer.role:<6} {one_line(layer.render(), _WIDTH)}" for layer in trace.layers
    ]
    before = counted(len(trace.turns), "earlier turn") + (
        f", and of those before {one_line(trace.summary, _WIDTH)!r}" if trace.summary else ""
    )
    rest = reply.stats.prompt_tokens - sum(costs.values())
    lines.append(f"  {'the rest':<9} {rest:>4} tokens         {before}; the marks of the template")
    lines.append("  before    " + ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in reply.trace.stages_ms.items()))
    same = PromptTrace.from_json(trace.to_json()).sha256 == trace.sha256
    lines.append(f"  trace {trace.sha256}, built anew: {'the same' if same else 'NOT the same'}")
    return "\n".join(lines)
