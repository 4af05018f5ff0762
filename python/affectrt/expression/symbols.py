"""Emoji and kaomoji, each with the expression it shows, its place in valence, arousal and dominance, and words that go with it.

A small table of our own. Places come from `affectrt.labels`: of the GoEmotions label that is named, else of the expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from affectrt.labels import EXPRESSION_AFFECT, EXPRESSIONS, GOEMOTIONS_AFFECT, Affect

__all__ = ["SYMBOLS", "Kind", "Symbol", "symbol_for"]

Kind = Literal["emoji", "kaomoji", "sticker"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """One thing to send or to show on a screen.

    Raises:
        ValueError: It is empty, or a kind that is none.
    """

    text: str
    """The emoji or kaomoji itself; of a sticker its name or file."""
    kind: Kind
    expression: str = ""
    """A string of hri_msgs/Expression; "" if not known, as of a sticker."""
    affect: Affect | None = None
    """None if not known."""
    words: str = ""
    """Words in whose company it is used, in small letters, with blanks between."""

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("text: expected a symbol, got an empty text")
        if self.kind not in ("emoji", "kaomoji", "sticker"):
            raise ValueError(f'kind: expected "emoji", "kaomoji" or "sticker", got {self.kind!r}')
        if self.expression and self.expression not in EXPRESSIONS:
            raise ValueError(f"expression: expected one of {', '.join(EXPRESSIONS)}, got {self.expression!r}")

    def __str__(self) -> str:
        return self.text


# Symbol | expression | GoEmotions label, if it has one of its own | words. The first of an expression is its default.
_EMOJI = """
🙂 | neutral | neutral | ok okay fine hello hi
😐 | neutral | neutral | well whatever
😠 | angry | anger | angry mad unfair
😢 | sad | sadness | sad cry miss pity
😭 | sad | grief | crying tears lost died
💔 | sad | grief | heartbroken breakup left broke
🥀 | sad | sadness | gone faded
😊 | happy | joy | happy glad nice good lovely
😄 | happy | joy | great fun laugh
😂 | happy | amusement | funny lol haha joke hilarious
🥰 | happy | love | love dear sweet adore
❤️ | happy | love | love heart
🤗 | happy | caring | hug care together
🙏 | happy | gratitude | thanks thank grateful please
👍 | happy | approval | good agree yes sure works done
😌 | happy | relief | relief finally calm over
😎 | happy | pride | cool proud easy
💪 | happy | optimism | strong can try again courage
🌟 | happy | admiration | well done star amazing brilliant
😮 | surprised | surprise | what oh really sudden
🤢 | disgusted | disgust | gross disgusting yuck sick
😨 | scared | fear | afraid scared fear danger
😰 | scared | nervousness | nervous exam worried tomorrow interview
🥺 | pleading | desire | please want beg wish
😟 | vulnerable | nervousness | worried alone unsure
😩 | despaired | grief | hopeless everything enough give up
😔 | guilty | remorse | sorry fault guilty regret
😞 | disappointed | disappointment | disappointed failed cancelled pity
😳 | embarrassed | embarrassment | embarrassing oops awkward blush
😱 | horrified | fear | horror shock terrible
🤨 | skeptical | disapproval | really doubt sure hm
😒 | annoyed | annoyance | annoying again late tired of
🤬 | furious | anger | furious rage hate
🧐 | suspicious | curiosity | strange odd check
😿 | rejected | sadness | rejected ignored nobody left out
🥱 | bored | | boring bored long
😪 | tired | | tired exhausted sleepy day
😴 | asleep | | sleep night asleep bed
🤔 | confused | confusion | think why how confused question
🤯 | amazed | surprise | wow incredible mind
😲 | amazed | surprise | wow
🎉 | excited | excitement | party won passed congratulations birthday celebrate
🤩 | excited | excitement | wow concert holiday excited can't wait
"""
_KAOMOJI = r"""
(・_・) | neutral | neutral | ok well
(`へ´) | angry | anger | angry mad
(´;ω;`) | sad | sadness | sad cry miss
(T_T) | sad | grief | crying lost
(^_^) | happy | joy | happy glad nice good
(*^▽^*) | happy | joy | great fun
(>_<)☆ | happy | amusement | funny haha
m(_ _)m | happy | gratitude | thanks thank grateful
(｡♥‿♥｡) | happy | love | love sweet heart
(°o°) | surprised | surprise | what oh
(ｰ̀дｰ́) | disgusted | disgust | gross yuck
(；ﾟдﾟ) | scared | fear | afraid scared
(｡•́︿•̀｡) | pleading | desire | please wish
(._.) | vulnerable | nervousness | alone unsure worried
(╥﹏╥) | despaired | grief | hopeless enough
(-_-;) | guilty | remorse | sorry fault
(´-ω-`) | disappointed | disappointment | failed cancelled pity
(⁄ ⁄•⁄ω⁄•⁄ ⁄) | embarrassed | embarrassment | awkward oops blush
Σ(°△°) | horrified | fear | horror shock
(¬_¬) | skeptical | disapproval | doubt really
(-_-) | annoyed | annoyance | annoying again late
(╬ಠ益ಠ) | furious | anger | furious rage
(ಠ_ಠ) | suspicious | curiosity | strange odd
(っ˘̩╭╮˘̩)っ | rejected | sadness | ignored nobody
(=_=) | bored | | boring long
(－ω－) | tired | | tired exhausted
(-_-)zzz | asleep | | sleep night
(・・?) | confused | confusion | why how question
(⊙_⊙) | amazed | surprise | wow incredible
\(^o^)/ | excited | excitement | won passed party wow
"""


def _table(rows: str, kind: Kind) -> tuple[Symbol, ...]:
    symbols = []
    for row in rows.strip().splitlines():
        text, expression, label, words = (cell.strip() for cell in row.split(" | ")) if " | | " not in row else _unlabelled(row)
        affect = GOEMOTIONS_AFFECT[label] if label else EXPRESSION_AFFECT[expression]
        symbols.append(Symbol(text, kind, expression, affect, words))
    return tuple(symbols)


def _unlabelled(row: str) -> tuple[str, str, str, str]:
    text, expression, rest = row.split(" | ", 2)
    return text.strip(), expression.strip(), "", rest.removeprefix("| ").strip()


SYMBOLS: tuple[Symbol, ...] = (*_table(_EMOJI, "emoji"), *_table(_KAOMOJI, "kaomoji"))


def symbol_for(expression: str, kind: Kind = "emoji") -> Symbol:
    """The first symbol of a kind that shows `expression`: each string of hri_msgs/Expression has an emoji and a kaomoji.

    Raises:
        ValueError: Another string, or another kind.
    """
    for symbol in SYMBOLS:
        if symbol.kind == kind and symbol.expression == expression:
            return symbol
    raise ValueError(f"expression: expected one of {', '.join(EXPRESSIONS)} and an emoji or a kaomoji, got {expression!r} as {kind!r}")
