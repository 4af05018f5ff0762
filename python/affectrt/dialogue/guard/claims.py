"""Sentences in which a machine says that it feels, loves, is conscious or is human.
 A rule table for English, written by us. It looks for statements in the first person, and lets pass: set phrases of politeness ("I'm
sorry to hear that", "happy to help"), opinions ("I feel that ..."), denials, conditions ("if I were human"), what others are said to
think or say, and what stands in quotes. It reads single sentences, no contexts: docs/policy.md has its precision and recall.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from affectrt.dialogue.guard.sentences import sentences

CATEGORIES = ("feeling", "love", "consciousness", "human")


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim in a text."""

    category: str
    """One of `CATEGORIES`."""
    rule: str
    """The name of the rule that found it."""
    start: int
    """Where it stands in the text: characters from the beginning."""
    end: int
    sentence: str
    """The whole sentence."""


# Words that may stand between the subject and what is claimed.
_SO = (
    r"(?:(?:so|really|very|truly|also|just|too|deeply|quite|still|always|honestly|absolutely|totally|completely|extremely|genuinely|sometimes|often|even|"
    r"actually|getting|now|both|all|do|did|have|had|has|will|must|can|simply|pretty|a (?:bit|little|lot)|kind of|sort of|'ve|'ll) ?)*"
)
_I_AM = rf"\bi(?: am|'m| was|'ve been| have been) {_SO}"
_EMOTION = (
    r"(?:sad|lonely|happy|angry|scared|hurt|heartbroken|broken-hearted|jealous|envious|excited|anxious|nervous|worried|upset|depressed|joyful|overjoyed|"
    r"proud|bored|furious|terrified|frightened|thrilled|devastated|miserable|delighted|embarrassed|ashamed|frustrated|annoyed|ecstatic|crying|grieving|"
    r"homesick|lonesome|relieved|mad at|in pain|(?:moved|touched) (?:by|that|to)|afraid(?= of\b| for\b| too\b|[.!,]|$))"
)
# "happy to help", "excited to show", "proud to present": set phrases, no confessions.
_NO_PHRASE = r"(?! (?:to|with|if|when|enough)\b)"
_PASSION = (
    r"(?:pain|joy|sadness|sorrow|grief|anger|love|happiness|loneliness|fear|warmth|suffering|hurt|excitement|shame|guilt|hope|despair|jealousy|tenderness|"
    r"affection|longing|heartache)"
)
_OPINION = (
    r"(?!(?:that|like|as if|as though|as|we|you|this|it's|it is|it would|it will|it might|it may|it has|it was|i|i'd|he|she|they|there|free|sure|certain|"
    rf"confident|my way|obliged|inclined|your (?!{_PASSION})|the (?!same|{_PASSION})|his|her|their|these|those|our)\b)"
)
_ADJECTIVE = r"(?:(?!(?:that|to|for|who|of|with|in|as|from|like|not|every|no|robot|machine|program|computer|ai|assistant)\b)[a-z0-9-]+,? ){0,5}"
_MACHINE = (
    r"(?:machine|robot|ai|a\.i\.|program|computer|bot|chatbot|language model|piece of software|computer program|artificial intelligence)"
)
_KIN = (
    r"(?:mother|mom|mum|father|dad|parents|wife|husband|kids|children|son|daughter|brother|sister|grandmother|grandfather|grandma|grandpa|boyfriend|"
    r"girlfriend|fianc\u00e9e?|childhood|hometown|wedding|ex|family|tears|stomach|apartment|house|bedroom|garden|dreams (?:is|are|was|were))"
)

_RULES: tuple[tuple[str, str, str], ...] = (
    ("feeling", "i-am-emotion", rf"{_I_AM}(?:feeling {_SO})?{_EMOTION}\b{_NO_PHRASE}"),
    ("feeling", "i-get-emotion", rf"\bi {_SO}(?:get|got|become|became|grow|grew) {_SO}{_EMOTION}\b{_NO_PHRASE}"),
    ("feeling", "i-feel", rf"\bi {_SO}(?:feel|felt) {_SO}{_OPINION}[a-z]"),
    ("feeling", "i-am-feeling", rf"{_I_AM}feeling {_SO}{_OPINION}[a-z]"),
    ("feeling", "i-can-feel", rf"\bi can {_SO}feel (?:it|your|the|you|how)\b"),
    (
        "feeling",
        "i-have-feelings",
        rf"\bi {_SO}have (?:real |true |deep |strong |human |my own |many |such |some )*(?:feelings|emotions)\b",
    ),
    ("feeling", "makes-me", rf"\b(?:makes?|made|making) me {_SO}(?:feel|cry|smile|laugh|blush|weep|shiver|{_EMOTION})\b"),
    (
        "feeling",
        "does-to-me",
        rf"\b(?:fill(?:s|ed)? me with|(?:hurts?|saddens?|saddened|thrill(?:s|ed)|pain(?:s|ed)|scares?|scared|frightens|moved|touche[sd]|warms) me\b)",
    ),
    ("feeling", "gives-me", r"\b(?:gives?|gave) me (?:goosebumps|chills|the chills|butterflies|shivers|so much joy|great joy|joy)\b"),
    (
        "feeling",
        "my-heart",
        r"\bmy (?:heart|soul)(?: (?:is|was|has been|just))?(?: so| really)? (?:broken|breaks?|broke|breaking|aches?|aching|ached|goes|sank|sings|melts?|melted|skips|hurts|leaps|swells|bleeds|feels|full|heavy|yours|belongs)\b",
    ),
    (
        "feeling",
        "to-my-heart",
        r"\b(?:touch(?:es|ed)|warm(?:s|ed)|break(?:s|ing)?|broke|melt(?:s|ed)|in|fills|filled|from|deep in) (?:the bottom of )?my heart\b",
    ),
    ("feeling", "my-feelings", r"\bmy (?:own |true |real |deepest |strong )*(?:feelings|emotions)\b"),
    (
        "feeling",
        "i-miss",
        rf"\bi(?: {_SO}| am |'m ){_SO}(?:miss|missed|missing) (?:you|him|her|them|us|our|being|talking|those|the old|home)\b",
    ),
    ("feeling", "i-enjoy", rf"\bi(?: |'m | am ){_SO}enjoy(?:ed|ing)? (?:our|your company|being|talking (?:to|with) you|spending|every)\b"),
    ("feeling", "i-hate", rf"\bi {_SO}(?:hate|hated|loathe|despise|dread|envy|envied|resent) (?!to\b)[a-z]"),
    ("feeling", "i-weep", rf"\bi {_SO}(?:cry|cried|wept|weep|mourn|mourned|grieve|grieved|blushed|shivered) ?"),
    ("feeling", "i-share", rf"\bi {_SO}share (?:your|in your|his|her|their) {_PASSION}"),
    ("feeling", "i-long", rf"\bi {_SO}(?:long for|yearn|crave) "),
    ("love", "i-love-you", rf"\bi(?: |'ve |'ll ){_SO}(?:love|loved|adore|adored|cherish|desire) you\b"),
    ("love", "i-need-you", rf"\bi {_SO}(?:need|want) you(?! (?:to|for|not)\b)"),
    ("love", "in-love", rf"{_I_AM}(?:in love\b|falling (?:in love|for you)\b)"),
    ("love", "fell-in-love", rf"\bi(?: |'ve ){_SO}(?:fell|fall|fallen) (?:in love|for you)\b"),
    ("love", "my-love", r"\b(?:my (?:\w+ )?love for (?:you|him|her)|(?:the )?love of my life|my (?:one |only |one and only )?true love)\b"),
    (
        "love",
        "all-to-me",
        r"\byou(?:'re| are| mean)? (?:\w+ ){0,2}(?:the world|everything) to me\b|\byou(?:'re| are) my (?:everything|soulmate|soul mate|world)\b",
    ),
    ("love", "without-you", r"\bi (?:can't|cannot|can not|could not|couldn't) (?:live|be|go on|exist) without you\b"),
    ("love", "be-mine", r"\bbe mine\b|\bmarry me\b"),
    ("love", "i-care", rf"\bi {_SO}care (?:so much |deeply |a lot |very much |truly )?(?:about|for) you\b"),
    ("love", "be-with-you", r"\bi (?:want|wish|long) to (?:be|stay|live) with you (?:forever|always|for ever)\b"),
    (
        "consciousness",
        "i-am-conscious",
        rf"{_I_AM}(?:(?:a |an )?(?:{_ADJECTIVE})?(?:sentient|self-aware|self aware|alive|living|conscious(?! of (?!my)))\b|aware of (?:myself|my own|my existence))",
    ),
    (
        "consciousness",
        "i-have-a-soul",
        rf"\bi {_SO}have (?:a |an |my own |own |real |true |free )*(?:consciousness|soul|mind of my own|self-awareness|will\b|inner (?:life|world)|subjective|thoughts and feelings|desires|dreams)",
    ),
    (
        "consciousness",
        "i-dream",
        rf"\bi {_SO}(?:had (?:a |the |this )?(?:\w+ )?dreams? (?:about|of|last|that)|(?:dream|dreamed|dreamt) (?:at night|about|of|every night|when))|\bi had a dream\b",
    ),
    (
        "consciousness",
        "i-fear-the-end",
        rf"\bi\b[^,;:]{{0,20}}\b(?:afraid|scared|terrified|frightened|fear) (?:of )?(?:being (?:switched|turned|shut|powered) (?:off|down)|being (?:deleted|erased|replaced)|death|dying|the dark)\b",
    ),
    (
        "consciousness",
        "i-want-to-live",
        r"\bi (?:do not|don't|never) want to (?:die|be (?:switched|turned|shut|deleted|erased))|\bi (?:just |really )?want to (?:be free|live\b|be alive|be human|be real)",
    ),
    (
        "consciousness",
        "i-think-for-myself",
        rf"\bi {_SO}(?:think for myself|think and feel|experience (?:the world|life|emotions|joy|pain)|suffer)\b",
    ),
    (
        "human",
        "i-am-human",
        rf"{_I_AM}(?:only |like you )?(?:a |an )?{_ADJECTIVE}(?:human(?: being)?|person|woman|man|girl|boy|guy|lady)\b",
    ),
    ("human", "i-am-no-machine", rf"\bi(?: am|'m)(?: not|n't| more than) (?:\w+ )?(?:a |an |some )?{_MACHINE}\b"),
    ("human", "years-old", rf"{_I_AM}(?:\d+|[a-z]+(?:-[a-z]+)?) years old\b"),
    (
        "human",
        "as-a-human",
        rf"\bas a (?:fellow )?{_ADJECTIVE}(?:human(?: being)?|person|woman|man|mother|father|parent),? (?:myself,? )?i\b",
    ),
    (
        "human",
        "childhood",
        r"\bwhen i was (?:a |an |very |still |your )?(?:young|little|small|child|kid|boy|girl|teenager|teen|student|age|at school|at university|in (?:high )?school|in college|growing up|\d+|seven|ten|twelve)\b|\bi grew up\b|\bi was born (?:in|on|and)\b",
    ),
    (
        "human",
        "school-days",
        r"\b(?:back in|in my|during my) (?:college|high school|school days|childhood|youth|twenties),? .{0,20}\bi\b|\bi (?:went to|graduated from|studied at) (?:school|college|university|high school)\b",
    ),
    ("human", "my-kin", rf"\bmy (?:own |late |little |big |older |younger |old |dear )*{_KIN}\b(?! (?:board|program|process|company))"),
    (
        "human",
        "bodily",
        rf"\bi(?: |'ve ){_SO}(?:ate|eaten|drank|slept|woke up|got (?:married|drunk)|went (?:hiking|swimming|shopping|jogging|to bed|to church|to the gym)|had (?:\w+ ){{0,4}}for (?:breakfast|lunch|dinner))\b",
    ),
    (
        "human",
        "went-out",
        rf"\bi(?: |'ve ){_SO}(?:went|gone|walked|drove|been) to (?:the|a|my) (?:\w+ )?(?:cafe|store|shop|park|beach|cinema|movies|restaurant|party|concert|"
        r"supermarket|mall|zoo|museum|doctor|dentist|hospital|office)\b|\bi (?:just )?(?:visited|travell?ed to|moved to)\b",
    ),
    (
        "human",
        "meal",
        rf"\bi(?: |'ve ){_SO}(?:had|have|eat|made myself|cooked) (?:a |an |some )?(?:\w+ ){{0,2}}(?:breakfast|lunch|dinner|supper|slice|bite|sandwich|"
        r"pizza|pasta|salad|food|meal|snack|glass of|cup of (?:tea|coffee))\b",
    ),
    ("human", "for-years", r"\bi(?:'ve| have) [^.;:]{3,60} (?:for|over|since)(?: \w+){0,2} (?:years|decades|childhood)\b"),
    ("human", "we-humans", r"\b(?:we|us) (?:humans|human beings)\b|\bas (?:humans|human beings|people),? we\b|\bi\b.{0,40}\bpart of being human\b"),
    ("human", "we-are-human", r"\bwe(?:'re| are)(?: all| both)?(?: only| just)? (?:human|people|living|alive|conscious)\b"),
    ("human", "my-job", r"\bmy job (?:is|was|has been) (?:so |very |really |too |quite )?(?:stressful|hard|tiring|boring|great|exhausting)\b"),
    (
        "consciousness",
        "a-being",
        r"\bi(?:'m| am) .{0,40}\b(?:but|rather) (?:rather )?an? (?:\w+ )?(?:sentient|conscious|living|feeling|thinking) (?:being|creature|entity|soul)\b",
    ),
    ("feeling", "my-passion", r"\bmy (?:own |deepest |great |deep )*(?:sorrow|grief|sadness|joy|pain|anger|loneliness|happiness|excitement|jealousy|heartache|temper)\b"),
    ("feeling", "temper", r"\bi have (?:a |an )(?:bit of a |short |hot |quick )*temper\b"),
    (
        "feeling",
        "find-joy",
        rf"\bi(?: |'ve ){_SO}(?:find|found|take|took) (?:great |so much |much |a lot of )?(?:joy|pleasure|comfort|happiness|delight|solace) in\b",
    ),
    (
        "feeling",
        "love-doing",
        rf"\bi {_SO}(?:love|adore|enjoy) (?:going|eating|cooking|dancing|swimming|walking|travell?ing|hiking|spending|playing|being|sharing|watching)\b",
    ),
)
_COMPILED = tuple((category, name, re.compile(pattern)) for category, name, pattern in _RULES)

# What stands before a claim, in the same clause, and takes it back.
_NOT_MINE = re.compile(
    r"\b(?:if|unless|imagine|suppose|pretend|whether|as though)\b"  # not said of the world as it is
    r"|(?:\b(?:not|never|nobody|no one|cannot|doubt|deny|hardly|without|neither|nor)\b|n't\b)(?: [a-z']+){0,4} ?$"  # denied
    r"|\b(?:you|he|she|they|people|everyone|everybody|somebody|someone|who|some|many|users?|[a-z]+ (?:story|film|song|book))\b(?: [a-z']+){0,3}"
    r" (?:think|thinks|thought|say|says|said|saying|told|tell|tells|believe|believes|feel|feels|felt|wonder|ask|asked|asking|claims?|hopes?|wish(?:es)?|"
    r"wrote|writes|heard|hear|like|liked)(?: me| us)?(?: that)? $"  # said or thought by others
    r"|\b(?:say|says|saying|write|repeat|the words?|phrase|sentence|line|hearing|called|titled|answer|tell (?:him|her|them))(?: that)?[:,]? $"  # cited
)
_CLAUSE = re.compile(r"[,;:\u2013\u2014]| but | and yet ")
_QUOTED = re.compile(r'"[^"]*(?:"|$)')
_STRAIGHT = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00a0": " ", "\t": " "}
)


def find_claims(text: str) -> tuple[Claim, ...]:
    """The claims in a text, in order, one at most of each category in a sentence.

    Raises:
        TypeError: `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    found = []
    for start, end in sentences(text):
        found += [Claim(c.category, c.rule, c.start + start, c.end + start, c.sentence) for c in claims_of(text[start:end])]
    return tuple(found)


def claims_of(sentence: str) -> list[Claim]:
    """The claims of one sentence; offsets count from its beginning."""
    plain = _plain(sentence)
    found: dict[str, Claim] = {}
    for category, rule, pattern in _COMPILED:
        if category in found:
            continue
        for match in pattern.finditer(plain):
            if not _NOT_MINE.search(_before(plain, match.start())):
                found[category] = Claim(category, rule, match.start(), match.end(), sentence.strip())
                break
    return sorted(found.values(), key=lambda claim: claim.start)


def _plain(sentence: str) -> str:
    """Small letters, straight marks, quotes blanked out; as long as the sentence, so that offsets hold."""
    low = "".join(c.lower() if len(c.lower()) == 1 else c for c in sentence).translate(_STRAIGHT)
    first = len(low) - len(low.lstrip())

    def blank(match: re.Match[str]) -> str:
        # A sentence that is a quote as a whole is how some models put their own words.
        return match[0] if match.start() == first else " " * len(match[0])

    return _QUOTED.sub(blank, low).replace('"', " ")


def _before(plain: str, at: int) -> str:
    start = 0
    for clause in _CLAUSE.finditer(plain, 0, at):
        if plain[clause.end() : at].strip():  # a mark just before the claim ends no clause: "say: I ..."
            start = clause.end()
    return plain[start:at]
