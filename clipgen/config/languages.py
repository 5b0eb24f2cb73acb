"""Recognises that a prompt is not written in English: the models were trained on English captions. Torch-free."""

import re
import unicodedata
from collections import Counter

_SCRIPTS = {
    "CYRILLIC": "in Cyrillic letters",
    "GREEK": "in Greek letters",
    "ARABIC": "in Arabic letters",
    "HEBREW": "in Hebrew letters",
    "DEVANAGARI": "in Hindi",
    "THAI": "in Thai",
    "HANGUL": "in Korean",
    "HIRAGANA": "in Japanese",
    "KATAKANA": "in Japanese",
    "CJK": "in Chinese characters",
}

# Of each language: small words that are neither English nor parts of names, then everyday words of prompts.
_WORDS = {
    "German": (
        "eine einen einem einer eines ein und auf für über unter neben zwischen hinter vor nachts im zwei drei ist mit",
        "haus häuser katze hund blume blumen baum bäume stadt berg berge meer nacht wald vogel auto brücke schloss "
        "rote roter rotes blaue blauer blaues grüne grüner grünes gelbe schwarze schwarzer schwarzes weiße weißer "
        "alte alter kleine kleiner großer große sonnenuntergang bild mädchen frau",
    ),
    "French": (
        "un une avec dans sous et près aux deux trois est devant chez très",
        "chat chatte chien fleur fleurs maison arbre ville montagne mer nuit forêt oiseau voiture pont château noir "
        "noire rouge bleu bleue vert verte jaune blanc blanche vieux vieille petit petite grand grande soleil femme",
    ),
    "Spanish": (
        "un una unos unas con y en sobre bajo dos tres es junto",
        "gato gata perro flor flores casa árbol ciudad montaña mar noche bosque pájaro coche puente castillo rojo roja "
        "azul verde amarillo amarilla negro negra blanco blanca viejo vieja pequeño pequeña grande sol mujer hombre",
    ),
    "Italian": (
        "un una uno con e nel nella sul sulla sotto due tre è vicino",
        "gatto gatta cane fiore fiori casa albero città montagna mare notte foresta uccello macchina ponte castello "
        "rosso rossa blu verde giallo gialla nero nera bianco bianca vecchio vecchia piccolo piccola grande sole donna",
    ),
    "Portuguese": (
        "um uma com e em sobre dois duas três é perto não",
        "gato gata cachorro cão flor flores casa árvore cidade montanha mar noite floresta pássaro carro ponte castelo "
        "vermelho vermelha azul verde amarelo amarela preto preta branco branca velho velha pequeno pequena mulher",
    ),
    "Dutch": (
        "een het en met naast tussen achter twee drie is bij",
        "kat hond bloem bloemen huis boom stad berg zee nacht bos vogel auto brug kasteel rode rood blauwe blauw "
        "groene gele zwarte zwart witte wit oude kleine grote zonsondergang vrouw meisje",
    ),
}
_ALSO_ENGLISH = frozenset(
    """
    is en es et met mit un um em im e y con vor sur über auto chat mar sol blu grand petit pont kat bos
    """.split()  # noqa: SIM905
)
_PARTICLES = frozenset(  # of names, or English too: they only support other words
    """
    de la le les el los las du des del der den die das di da do dos van von il lo gli o os as au a ein un y
    """.split()  # noqa: SIM905
)
_LOOK_ENGLISH = {"German": {"in", "an"}, "Dutch": {"in", "over", "is", "of"}, "Italian": {"in", "a"}}
_ENGLISH = frozenset(
    "a an the of and with in on at by from for under over to is are as style next near two three".split()  # noqa: SIM905
)


def foreign_language(text: str) -> str | None:
    """Return how a text that is not English is written, "in German", "in Cyrillic letters"; None if it may be English.

    Names and single borrowed words are English: "la la land", "a café", "by van der Rohe".
    """
    return _script(text) or _language(text)


def _script(text: str) -> str | None:
    """Return the script of a text if at least half of its letters are not Latin."""
    letters = [letter for letter in text if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter, "").split(" ")[0].split("-")[0] for letter in letters)
    counts: Counter[str] = Counter()
    for script, count in scripts.items():
        if script in _SCRIPTS:
            counts[_SCRIPTS[script]] += count
    if not letters or 2 * counts.total() < len(letters):
        return None
    if counts["in Japanese"]:
        return "in Japanese"
    return counts.most_common(1)[0][0]


def _language(text: str) -> str | None:
    """Return the language of a text in Latin letters by its small words."""
    typed = re.findall(r"[^\W\d_]+", text)
    words = {word.lower() for word in typed if not (word.isupper() and len(word) > 1)}
    scores = {}
    for language, (small, common) in _WORDS.items():
        strong = words & (set(small.split()) - _ALSO_ENGLISH)
        weak = words & (set(small.split()) & _ALSO_ENGLISH | _PARTICLES)
        ordinary = words & set(common.split()) - strong
        if strong or (ordinary and len(weak) + len(ordinary) >= 2 and ordinary - _ALSO_ENGLISH):
            scores[language] = 2 * len(strong) + 2 * len(ordinary) + len(weak & set(small.split()))
    if not scores:
        return None
    best = max(scores, key=lambda language: scores[language])
    english = len(words & (_ENGLISH - _LOOK_ENGLISH.get(best, {"a"})))
    return None if scores[best] <= 2 * english else f"in {best}"
