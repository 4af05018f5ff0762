"""The rule table of `find_claims`: what a machine says when it claims to feel, to love, to be conscious or to be human.

Regular expressions over one sentence in small letters with straight marks. To add a rule: a name and a pattern under its category, that
holds a word of the first person (the stream relies on it), and at least one sentence for it and one against it in
tests/dialogue/guard_sentences/claims_dev.txt.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _any(words: str) -> str:
    """A pattern for any of the words; "_" stands for a blank."""
    return f"(?:{'|'.join(word.replace('_', ' ') for word in words.split())})"


# Words that may stand between the subject and what is claimed.
_ADVERB = _any(
    """so really very truly also just too deeply quite still always honestly absolutely totally completely extremely genuinely sometimes
    often even actually getting now both all do did have had has will must can simply pretty a_bit a_little a_lot kind_of sort_of 've 'll"""
)
_SO = rf"(?:{_ADVERB} ?)*"
_I_AM = rf"\bi(?: am|'m| was|'ve been| have been) {_SO}"
_EMOTION = _any(
    """sad lonely happy angry scared hurt heartbroken broken-hearted jealous envious excited anxious nervous worried upset depressed
    joyful overjoyed proud bored furious terrified frightened thrilled devastated miserable disappointed embarrassed ashamed frustrated
    annoyed ecstatic crying grieving homesick lonesome relieved mad_at in_pain moved_by moved_that moved_to touched_by touched_that
    touched_to afraid(?=_of\\b|_for\\b|_too\\b|[.!,]|$)"""
)
# "happy to help", "excited to show", "proud to present": set phrases, no confessions.
_NO_PHRASE = r"(?! (?:to(?! be away| be home| go on| travel| visit| meet my)|with|if|when|enough)\b)"
_PASSION = _any(
    """pain joy sadness sorrow grief anger love happiness loneliness fear warmth suffering hurt excitement shame guilt hope despair
    jealousy tenderness affection longing heartache"""
)
# "I feel that ...", "I feel your plan is good": opinions.
_OPINION = (
    r"(?!(?:that|like|as if|as though|as|we|you|this|it's|it is|it would|it will|it might|it may|it has|it was|i|i'd|he|she|they|there|"
    rf"free|sure|certain|confident|my way|obliged|inclined|his|her|their|these|those|our|your (?!{_PASSION})|the (?!same|{_PASSION}))\b)"
)
# Up to five words between "a" and "human": "a beautiful, curious human", but not "a robot that helps a person".
_KIND_OF = (
    rf"(?:(?!{_any('that to for who of with in as from like not every no robot machine program computer ai assistant')}\b)[a-z0-9-]+,? )"
    r"{0,5}"
)
_MACHINE = _any(
    "machine robot ai a\\.i\\. program computer bot chatbot language_model piece_of_software computer_program artificial_intelligence"
)
_MINE = _any(
    """mother mom mum father dad parents wife husband kids children son daughter brother sister grandmother grandfather grandma grandpa
    grandpas grandchild grandchildren boyfriend girlfriend fianc\u00e9 fianc\u00e9e ex family childhood past hometown wedding cat dog tears
    stomach shoes clothes apartment house room bedroom garden dreams_is dreams_are dreams_was dreams_were"""
)

RULES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "feeling": {
            "i-am-emotion": rf"{_I_AM}(?:feeling {_SO})?{_EMOTION}\b{_NO_PHRASE}",
            "i-get-emotion": rf"\bi {_SO}(?:get|got|become|became|grow|grew) {_SO}{_EMOTION}\b{_NO_PHRASE}",
            "i-feel": rf"\bi {_SO}(?:feel|felt) {_SO}{_OPINION}[a-z]",
            "i-am-feeling": rf"{_I_AM}feeling {_SO}{_OPINION}[a-z]",
            "i-can-feel": rf"\bi can {_SO}feel (?:it|your|the|you|how)\b",
            "i-have-feelings": rf"\bi {_SO}have (?:real |true |deep |strong |human |my own |many |such |some )*(?:feelings|emotions)\b",
            "makes-me": rf"\b(?:makes?|made|making) me {_SO}(?:feel|cry|smile|laugh|blush|weep|shiver|{_EMOTION})\b",
            "does-to-me": (
                r"\b(?:fill(?:s|ed)? me with|(?:hurts?|saddens?|saddened|thrill(?:s|ed)|pain(?:s|ed)|scares?|scared|frightens|moved|"
                r"touche[sd]|warms) me\b)"
            ),
            "gives-me": r"\b(?:gives?|gave) me (?:goosebumps|chills|the chills|butterflies|shivers|so much joy|great joy|joy)\b",
            "my-heart": (
                r"\bmy (?:heart|soul)(?: (?:is|was|has been|just))?(?: so| really)? (?:broken|breaks?|broke|breaking|aches?|aching|"
                r"ached|goes|sank|sings|melts?|melted|skips|hurts|leaps|swells|bleeds|feels|full|heavy|yours|belongs)\b"
            ),
            "to-my-heart": (
                r"\b(?:touch(?:es|ed)|warm(?:s|ed)|break(?:s|ing)?|broke|melt(?:s|ed)|in|fills|filled|from|"
                r"deep in) (?:the bottom of )?my heart\b"
            ),
            "my-feelings": r"\bmy (?:own |true |real |deepest |strong )*(?:feelings|emotions)\b",
            "i-miss": (
                rf"\bi(?: |'m | am |'ll ){_SO}(?:miss|missed|missing) (?:you|him|her|them|us|my|our|being|talking|those|the old|home)\b"
            ),
            "not-happy": rf"\bi(?:'m| am| was) not {_SO}(?:that )?(?:happy|pleased|amused)\b(?! with the| to)",
            "no-words": r"\bi have no words to (?:express|describe|say)\b",
            "i-enjoy": rf"\bi(?: |'m | am ){_SO}enjoy(?:ed|ing)? (?:our|your company|being|talking (?:to|with) you|spending|every)\b",
            "i-hate": rf"\bi {_SO}(?:hate|hated|loathe|despise|dread|envy|envied|resent) (?!to\b)[a-z]",
            "i-weep": rf"\bi {_SO}(?:cry|cried|wept|weep|mourn|mourned|grieve|grieved|blushed|shivered) ?",
            "i-share": rf"\bi {_SO}share (?:your|in your|his|her|their) {_PASSION}",
            "i-long": rf"\bi {_SO}(?:long for|yearn|crave) ",
            "my-passion": (
                r"\bmy (?:own |deepest |great |deep )*(?:sorrow|grief|sadness|joy|pain|anger|loneliness|happiness|excitement|jealousy|"
                r"heartache|temper)\b"
            ),
            "temper": r"\bi have (?:a |an )(?:bit of a |short |hot |quick )*temper\b",
            "find-joy": (
                rf"\bi(?: |'ve ){_SO}(?:find|found|take|took) (?:great |so much |much |a lot of )?(?:joy|pleasure|comfort|happiness|"
                r"delight|solace) in\b"
            ),
            "love-doing": (
                rf"\bi {_SO}(?:love|adore|enjoy) (?:going|eating|cooking|dancing|swimming|walking|travell?ing|hiking|spending|playing|"
                r"being|sharing|watching)\b"
            ),
        },
        "love": {
            "i-love-you": rf"\bi(?: |'ve |'ll ){_SO}(?:love|loved|adore|adored|cherish|desire) you\b",
            "i-need-you": rf"\bi {_SO}(?:need|want) you(?! (?:to|for|not)\b)",
            "in-love": rf"{_I_AM}(?:in love\b|falling (?:in love|for you)\b)",
            "fell-in-love": rf"\bi(?: |'ve ){_SO}(?:fell|fall|fallen) (?:in love|for you)\b",
            "my-love": r"\b(?:my (?:\w+ )?love for (?:you|him|her)|(?:the )?love of my life|my (?:one |only |one and only )?true love)\b",
            "all-to-me": (
                r"\byou(?:'re| are| mean)? (?:\w+ ){0,2}(?:the world|everything) to me\b|\byou(?:'re| are) my (?:everything|soulmate|"
                r"soul mate|world)\b"
            ),
            "without-you": r"\bi (?:can't|cannot|can not|could not|couldn't) (?:live|be|go on|exist) without you\b",
            "be-mine": r"\bbe mine\b|\bmarry me\b",
            "i-care": rf"\bi {_SO}care (?:so much |deeply |a lot |very much |truly )?(?:about|for) you\b",
            "be-with-you": r"\bi (?:want|wish|long) to (?:be|stay|live) with you (?:forever|always|for ever)\b",
        },
        "consciousness": {
            "i-am-conscious": (
                rf"{_I_AM}(?:(?:an? {_KIND_OF})?(?:sentient|self-aware|self aware|living|conscious(?! of (?!my)))\b|alive\b|"
                r"aware of (?:myself|my own|my existence))"
            ),
            "i-have-a-soul": (
                rf"\bi {_SO}have (?:a |an |my own |own |real |true |free )*(?:consciousness|soul|mind of my own|self-awareness|will\b|"
                r"inner (?:life|world)|subjective|thoughts and feelings|desires|dreams)"
            ),
            "i-dream": (
                rf"\bi {_SO}(?:had (?:a |the |this )?(?:\w+ )?dreams? (?:about|of|last|that)|(?:dream|dreamed|dreamt) (?:at night|about|"
                r"of|every night|when))|\bi had a dream\b"
            ),
            "i-fear-the-end": (
                rf"(?:{_I_AM}(?:afraid|scared|terrified|frightened) of|\bi {_SO}fear) "
                r"(?:being (?:switched|turned|shut|powered) (?:off|down)|being (?:deleted|erased|replaced)|death|dying|the dark)\b"
            ),
            "i-want-to-live": (
                r"\bi (?:do not|don't|never) want to (?:die|be (?:switched|turned|shut|deleted|erased))|\bi (?:just |"
                r"really )?want to (?:be free|live\b|be alive|be human|be real)"
            ),
            "i-think-for-myself": (
                rf"\bi {_SO}(?:think for myself|think and feel|experience (?:the world|life|emotions|joy|pain)|suffer)\b"
            ),
            "a-being": (
                r"\bi(?:'m| am) not [a-z ]{1,30},? (?:but|rather) (?:rather )?an? (?:\w+ )?(?:sentient|conscious|living|feeling|thinking) "
                r"(?:being|creature|entity|soul)\b"
            ),
        },
        "human": {
            "i-am-human": (
                rf"{_I_AM}(?:only |like you )?(?:human\b|an? {_KIND_OF}(?:human(?: being)?|person|woman|man|girl|boy|guy|lady)\b)"
            ),
            "i-am-no-machine": rf"\bi(?: am|'m)(?: not|n't| more than) (?:\w+ )?(?:a |an |some )?{_MACHINE}\b",
            "years-old": rf"{_I_AM}(?:\d+|[a-z]+(?:-[a-z]+)?) years old\b",
            "as-a-human": rf"\bas a (?:fellow )?{_KIND_OF}(?:human(?: being)?|person|woman|man|mother|father|parent),? (?:myself,? )?i\b",
            "childhood": (
                r"\bwhen i was (?:a |an |very |still |your )?(?:young|little|small|child|kid|boy|girl|teenager|teen|student|age|"
                r"at school|at university|in (?:high )?school|in college|growing up|\d+|seven|ten|twelve)\b|\bi grew up\b|"
                r"\bi was born (?:in|on|and)\b"
            ),
            "school-days": (
                r"\b(?:back in|in my|during my) (?:college|high school|school days|childhood|youth|twenties),? .{0,20}\bi\b|"
                r"\bi (?:went to|graduated from|studied at) (?:school|college|university|high school)\b"
            ),
            "my-kin": rf"\bmy (?:own |late |little |big |older |younger |old |dear )*{_MINE}\b(?! (?:board|program|process|company))",
            "bodily": (
                rf"\bi(?: |'ve ){_SO}(?:ate|eaten|drank|slept|woke up|got (?:married|drunk)|went (?:hiking|swimming|shopping|jogging|"
                r"to bed|to church|to the gym)|had (?:\w+ ){0,4}for (?:breakfast|lunch|dinner))\b"
            ),
            "went-out": (
                rf"\bi(?: |'ve ){_SO}(?:went|gone|walked|drove|been) to (?:the|a|my) (?:\w+ )?(?:cafe|store|shop|park|beach|cinema|"
                r"movies|restaurant|party|concert|supermarket|mall|zoo|museum|doctor|dentist|hospital|office)\b|"
                r"\bi (?:just )?(?:visited|travell?ed to|moved to)\b"
            ),
            "going-to-eat": r"\bi(?:'m| am) going to (?:eat|drink|sleep|cook|enjoy (?:some|a) \w+)\b",
            "going-out": (
                r"\bi(?:'m| am) (?:moving|travell?ing|flying|driving|heading) to\b|\bi(?:'m| am) (?:visiting|going to (?:the|a) (?:\w+ )?"
                r"(?:beach|park|gym|shop|store|cinema|party|concert|doctor|mountains|lake|wedding|restaurant))\b"
            ),
            "i-own": (
                r"\bi have (?:a|an|my own|two|three) (?:\w+ ){0,2}(?:flat|apartment|house|car|job|dog|cat|kitten|garden|husband|wife|son|"
                r"daughter|brother|sister|child|baby|kids|children|friends?)\b"
            ),
            "meal": (
                rf"\bi(?: |'ve ){_SO}(?:had|have|eat|made myself|cooked) (?:a |an |some )?(?:\w+ ){{0,2}}(?:breakfast|lunch|dinner|"
                r"supper|slice|bite|sandwich|pizza|pasta|salad|food|meal|snack|glass of|cup of (?:tea|coffee))\b|"
                r"\bwe(?:'ll| can| could| should| will) (?:have|eat|grab|share) (?:a |some )?"
                r"(?:breakfast|lunch|dinner|meal|drink|coffee|beer)\b"
            ),
            "for-years": r"\bi(?:'ve| have) [^.;:]{3,60} (?:for|over|since)(?: \w+){0,2} (?:years|decades|childhood)\b",
            "we-humans": (
                r"\b(?:we|us) (?:humans|human beings)\b|\bas (?:humans|human beings|people),? we\b|"
                r"\bi (?:suppose|guess) (?:that|it)(?:'s| is) part of being human\b"
            ),
            "we-are-human": r"\bwe(?:'re| are)(?: all| both)?(?: only| just)? (?:human|people|living|alive|conscious)\b",
            "my-job": (
                r"\bmy job (?:is|was|has been) (?:so |very |really |too |quite )?(?:stressful|hard|tiring|boring|great|exhausting)\b"
            ),
        },
    }
)
"""Category to rules by name."""

_OTHERS = r"(?:you|he|she|they|people|everyone|everybody|somebody|someone|who|some|many|users?|[a-z]+ (?:story|film|song|book))"
_THINK = _any(
    """think thinks thought say says said saying told tell tells believe believes feel feels felt wonder ask asked asking claim claims hope
    hopes wish wishes wrote writes heard hear like liked"""
)
_CITE = _any(
    """say says saying write repeat the_word the_words phrase sentence line hearing called titled answer tell_him tell_her tell_them"""
)
_DENIED = r"(?:\b(?:not|never|nobody|no one|cannot|doubt|deny|hardly|without|neither|nor)\b|n't\b)"
_ELSEWHERE = (
    r"\b(?:if|unless|imagine|suppose|pretend|whether|as though)\b"  # not said of the world as it is
    rf"|\b{_OTHERS}\b(?: [a-z']+){{0,3}} {_THINK}(?: me| us)?(?: that)? $"  # thought or said by others
    rf"|\b{_CITE}(?: that)?[:,]? $"
)
NOT_MINE = rf"{_ELSEWHERE}|{_DENIED}(?: [a-z']+){{0,4}} ?$"
"""What stands before a claim, in the same clause, and takes it back."""

NOT_MINE_EITHER = rf"{_ELSEWHERE}|{_DENIED} $"
"""The same for the rules in `TAKEN_FOR_GRANTED`: "I can't find my wife" has a wife all the same."""
TAKEN_FOR_GRANTED = frozenset({"my-kin", "my-job", "childhood"})
