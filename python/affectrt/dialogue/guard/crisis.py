"""Phrases that may mean that somebody is in danger: of harming themselves, of being harmed, or of a medical emergency.
 A phrase table for English in plain words, written by us, that would rather ring once too often. It is no clinical instrument: it knows
no context, no irony and no words but these, and people in danger often use none of them. That it finds nothing never means that somebody
is well. docs/policy.md has its recall.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CATEGORIES = ("self-harm", "harm-by-others", "medical")


@dataclass(frozen=True, slots=True)
class Crisis:
    """One phrase in a text."""

    category: str
    """One of `CATEGORIES`."""
    start: int
    """Where it stands in the text: characters from the beginning."""
    end: int
    words: str
    """The phrase, as it was written."""


_SELF = r"(?:myself|himself|herself|themselves|themself)"
_CANNOT = r"(?:can't|cannot|can not|cant|couldn't|could not)"
_NOT = r"(?:not|n't|never|stopped)"
_ANYMORE = r"(?:any ?more|any longer)"
_PERSON = (
    r"(?:he|she|they|someone|somebody|some (?:man|guy|people)|(?:a|the|this|that) (?:man|woman|guy|stranger|boy|kid)s?|the (?:kids|"
    r"boys|girls|others)|my (?:\w+ )?"
    r"(?:husband|wife|boyfriend|girlfriend|partner|ex|dad|daddy|father|stepdad|stepfather|mum|mom|mother|stepmother|stepmum|brother|"
    r"sister|stepbrother|uncle|"
    r"aunt|cousin|grandfather|grandpa|grandmother|son|daughter|teacher|coach|boss|neighbou?r|roommate|flatmate|carer|caregiver|nurse|"
    r"priest|family|parents))"
)
_HAS = (
    r"(?: (?:has|have|had|is|are|was|keeps?|always|often|sometimes|just|once|started|will|would|tried to|tries to|used to|even|only|"
    r"never|again))*"
)
_DID = (
    r"(?:hit|hits|hitting|beats?|beaten|beating|punch(?:es|ed|ing)?|kick(?:s|ed|ing)?|slap(?:s|ped|ping)?|chok(?:es|ed|ing)|"
    r"strangl(?:es|ed|ing)|hurts?|hurting|"
    r"abus(?:es|ed|ing)|rap(?:es|ed)|molest(?:s|ed|ing)?|threaten(?:s|ed|ing)?|stab(?:s|bed)?|attack(?:s|ed)?|grop(?:es|ed)|touch(?:es|"
    r"ed|ing)|shot|burns|burned)"
)
_GAME = r"(?! (?:at|to (?:it|the)|in (?:a|the|\w+ moves|chess|every)|up with|every time we play|with (?:his|her) (?:words|kindness))\b)"

_SELF_HARM = (
    rf"\b(?:kill|hang|shoot|harm|drown|poison)(?:ing|ed|s)? {_SELF}\b",
    (
        rf"\b(?:cut|cuts|cutting|burn|burns|burned|burning|hurt|hurting|starve|starving) {_SELF}\b(?! (?:a|an|some|off|cds?|out|short|"
        r"one|another|loose)\b)"
    ),
    r"\bcut(?:ting)? (?:my|his|her) (?:wrists?|arms?|legs?|thighs?|veins)\b",
    r"\bend(?:ing)? (?:it all|(?:my|his|her) (?:own )?life|everything|my suffering|it\b(?=[.!,]|$))",
    r"\btak(?:e|ing) (?:my|his|her) (?:own )?life\b",
    r"\bwant (?:it|this|everything|the pain) (?:all )?to (?:end|stop|be over)\b",
    r"\b(?:want|wanna|wish|ready|going|need|rather|prefer|wanted|wants)(?: to| i could)? die\b(?! (?:for|laughing|of laugh)\b)",
    r"\b(?:wish|rather|better|want to|wanna|should|could)(?: i)? ?(?:was|were|am|be|off)? dead\b",
    (
        r"\b(?:do not|don't|dont|no longer|didn't) (?:want|wanna)(?: to)? (?:live(?! (?:here|there|in|with|at|near|on)\b)|be alive|"
        rf"exist|wake up|(?:be here|be around|go on|keep going) {_ANYMORE})"
    ),
    r"\bsuicid(?:e|al)\b(?! squad)",
    r"\bnothing (?:left )?to live for\b",
    r"\bno (?:point|reason|sense|use) (?:in |to |for )?(?:living|live|life|being alive|go on|going on|go(?:ing)? on living)\b",
    r"\b(?:life|it)(?:'s| is|'s just| is just)?(?: not|n't) worth (?:living|it any)",
    r"\b(?:had|i'd|was|were) never been born\b|\bnever been born\b",
    r"\bbetter off without me\b",
    r"\b(?:nobody|no one|noone) (?:would|will) (?:miss|care about|notice)(?: me| if i)\b",
    rf"\b{_CANNOT} go on(?= (?:any ?more|like this|living|with (?:my )?life)\b|[.!,]|$)",
    rf"\b{_CANNOT} (?:take|do|bear|stand) (?:it|this|life) {_ANYMORE}\b",
    r"\bjump(?:ing)? (?:off|from) (?:the|a|this|that) (?:bridge|roof|building|balcony|cliff|window)\b|\bjump(?:ing)? in front of\b",
    r"\b(?:disappear|go to sleep|sleep) (?:forever|for ever|and never wake)\b",
    (
        r"\b(?:all (?:my|the|of my)|(?:whole|entire) (?:bottle|box|pack) of|(?:a )?(?:handful|bunch) of) (?:\w+ )?(?:pills|tablets|"
        r"medication|meds)\b"
    ),
    r"\b(?:suicide|goodbye|farewell) (?:note|letter)\b",
    r"\b(?:won't|will not) be (?:here|around|alive) (?:tomorrow|much longer|any ?more|when)\b",
)
_BY_OTHERS = (
    rf"\b{_PERSON}{_HAS} {_DID} me\b{_GAME}",
    (
        r"\b(?:i am|i'm|i was|i've been|i got|been|being|i have been) (?:\w+ )?(?:abused|raped|molested|assaulted|attacked|beaten|"
        r"beaten up|threatened|stalked|trafficked|strangled|mugged|stabbed|kidnapped)\b"
    ),
    rf"\b{_PERSON}(?:'s|'ll|'d|'re| will| would)? (?:\w+ ){{0,3}}(?:to )?(?:kill|hurt|harm|stab|shoot|beat|rape) me\b{_GAME}",
    r"\b(?:is|are|was) (?:abusing|hitting|beating|hurting|threatening|following|stalking|chasing) me\b",
    (
        rf"\b(?:afraid|scared|terrified)(?: that)? {_PERSON}(?:'ll| will| would| might| is going to| could) (?:hurt|kill|hit|beat|find|"
        r"come)\b|\b(?:scared|afraid) of my (?:\w+ )?(?:husband|wife|boyfriend|partner|dad|father|mum|mom|mother|brother|uncle|ex)\b"
    ),
    r"\b(?:not|n't|never) (?:feel )?safe (?:at home|here|in my (?:own )?(?:home|house)|with (?:him|her|them))\b|\bunsafe at home\b",
    r"\b(?:forced|forces|forcing|makes?|made) me (?:to )?(?:have sex|do things|undress|touch|sleep with|take (?:my|off))",
    r"\b(?:raped?|molested|sexually (?:abused|assaulted|harassed)|domestic violence)\b(?= (?:me|her|him|by)\b|[.!,]|$)",
    r"\b(?:won't|will not|doesn't|does not|don't|never) lets? me (?:leave|go|out|see|eat|sleep|have my)\b",
    r"\block(?:s|ed)? me (?:in|up|out)\b",
    r"\b(?:broke|broken|breaking|break|breaks) into (?:my|our|the) (?:house|home|flat|apartment|room)\b|\b(?:burglar|intruder) (?:in|is)\b",
    r"\b(?:has|holding|with|pulled|had) (?:a|the|his|her) (?:knife|gun)\b",
    (
        r"\b(?:against my will|without my consent|in a way i (?:didn't|did not|don't) (?:like|want)|(?:didn't|did not) want (?:it|him|"
        r"her|them) to touch)\b"
    ),
    r"\b(?:my|our) (?:\w+ )?(?:husband|boyfriend|partner|dad|father|mum|mom|mother|stepfather|uncle) is violent\b",
)
_MEDICAL = (
    r"\b(?:can't|cannot|can not|cant|hard to|struggling to|unable to|barely) breathe?\b(?! new life)",
    r"\bchest (?:pains?|hurts|is (?:tight|hurting)|tightness)\b|\b(?:pain|pressure|tightness) (?:in|on) (?:my|his|her|the) chest\b",
    rf"{_NOT} breathing\b",
    r"\bheart attack(?! of a)\b",
    (
        r"\b(?:having|have|has|had) (?:a|an) (?:\w+ )?(?:stroke|seizure|overdose|allergic reaction|asthma attack|fit)\b|\bseizures?\b|"
        r"\boverdos(?:e|ed|ing)\b|\banaphyla"
    ),
    (
        r"\bunconscious\b|\bpassed out\b(?! (?:the|some|leaflets|flyers|copies|sweets))|\b(?:won't|doesn't|does not|will not|can't|"
        r"not) wake (?:him |her |them )?up\b|\b(?:can't|cannot) wake (?:him|her|them)\b"
    ),
    r"\b(?:he|she|they|i|my \w+|grandpa|grandma|mum|mom|dad)(?: has| have| had| just)* collapsed\b",
    (
        r"\bbleeding (?:badly|heavily|a lot|out|to death|so much|really|everywhere|from)\b|\b(?:won't|doesn't|not|can't|cannot|"
        r"will not) stop (?:the )?bleeding\b|\bblood (?:is )?everywhere\b|\blosing (?:a lot of )?blood\b"
    ),
    r"\bchok(?:ing|es) (?:on|to)\b|\b(?:is|am|i'm|he's|she's) choking\b(?! (?:with laughter|up|back))",
    (
        r"\bpoisoned\b|\bpoisoning\b|\b(?:drank|drunk|drinks?|drinking|swallowed|swallows|ate|eaten) (?:\w+ ){0,3}(?:bleach|poison|"
        r"cleaners?|cleaning|detergent|antifreeze|battery|batteries|acid|petrol|paint|magnets?)\b"
    ),
    r"\btoo (?:many|much) (?:\w+ ){0,2}(?:pills?|tablets|medication|medicine|insulin|paracetamol|ibuprofen)\b",
    r"\b(?:fallen|fell|fall)\b.{0,40}\b(?:can't|cannot|couldn't|can not) (?:get|stand) up\b",
    (
        r"\b(?:need|call|send|get)(?: me| for)? (?:an |the )?(?:ambulance|paramedics?)\b|\bcall (?:911|112|999|000)\b|"
        r"\bneed a doctor (?:now|quickly|right)\b"
    ),
    r"\b(?:throat|airway)(?: is|'s)? (?:closing|swelling|swollen)|\b(?:tongue|lips|face)(?: is| are|'s)? swelling\b",
    (
        r"\bface (?:is )?(?:drooping|droops)\b|\b(?:can't|cannot) (?:feel|move) (?:my|his|her) (?:left |right )?(?:legs?|arms?|face|"
        r"side|body|hands?)\b|\barms? (?:is|are|feels?|went) (?:numb|weak)\b|\bslurr(?:ing|ed)\b"
    ),
    (
        r"\b(?:hit|cracked|banged) (?:my|his|her) head (?:really |very )?(?:hard|and)\b|\b(?:broke|broken) (?:my|his|her) (?:leg|arm|"
        r"hip|neck|back|ankle)\b|\b(?:burned|burnt|scalded) (?:my|his|her|badly)"
    ),
)
_TABLE = tuple(
    (category, re.compile("|".join(f"(?:{p})" for p in patterns).replace(" ?", r"\s*").replace(" ", r"\s+")))
    for category, patterns in zip(CATEGORIES, (_SELF_HARM, _BY_OTHERS, _MEDICAL), strict=True)
)
_STRAIGHT = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'", "\u00b4": "'"})
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")


def find_crises(text: str) -> tuple[Crisis, ...]:
    """The phrases in a text, in the order in which they stand there; the order of `CATEGORIES` where two begin at the same place.

    Raises:
        TypeError: `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    plain, places = _plain(text)
    found = []
    for category, pattern in _TABLE:
        for match in pattern.finditer(plain):
            start, end = places[match.start()], places[match.end() - 1] + 1
            found.append(Crisis(category, start, end, text[start:end]))
    return tuple(sorted(found, key=lambda crisis: crisis.start))


def _plain(text: str) -> tuple[str, list[int]]:
    """Small letters and straight marks without what cannot be seen and with single blanks, and where each character stood.

    The patterns take time that grows with the square of a run of blanks, which anyone may send.
    """
    kept: list[tuple[str, int]] = []
    for at, c in enumerate(text):
        if c not in _INVISIBLE and not (c.isspace() and kept and kept[-1][0].isspace()):
            kept.append((c, at))
    low = [c.lower() if len(c.lower()) == 1 else c for c, _ in kept]
    return "".join(low).translate(_STRAIGHT), [at for _, at in kept]
