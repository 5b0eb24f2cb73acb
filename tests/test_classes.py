"""The names of the ImageNet classes, and the things that prompts name."""

import re
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timm.data import ImageNetInfo

from clipgen.config.class_words import class_rows, key, lexicon, singulars
from clipgen.config.classes import class_names, nearest_names, things_in, without_things
from clipgen.errors import UsageError

# Everyday names that share no word with WordNet's names and definition of their class.
EVERYDAY = """7 rooster, cockerel|97 mallard|203 westie|230 sheltie|236 dobermann|255 leonberger|268 xoloitzcuintli
291 lioness|292 tigress|294 grizzly|309 honeybee, bumblebee|339 pony, stallion, mare|341 piglet|355 alpaca|393 clownfish
404 passenger plane|405 zeppelin, blimp|419 sticking plaster|453 bookshelf|456 longbow|477 toolbox|487 smartphone
531 wristwatch|569 bin lorry|582 supermarket|596 axe|637 postbox|699 pan flute|743 jail|748 handbag|750 duvet
757 camper van, campervan, motorhome|760 fridge|762 café, cafe|763 handgun|770 sneaker|792 spade|815 cobweb|822 steelpan
831 sofa, settee|851 tv, telly|865 toy store|895 fighter jet|913 shipwreck|925 consommé|930 baguette|978 seaside
987 sweetcorn, maize|998 corncob"""

# What WordNet says of every class in a group; a group that is absent must be named in what it says of each.
SIGNS = r"""
dog: dogs? \w*hounds? terrier spaniel retriever schnauzer poodle \w*mastiff setter corgi collie griffon sheepdog
pug bulldog pinscher pointer chihuahua kuvasz leonberg shepherd kelpie malamute breeds? boxer sennenhunde;
bird: \w*birds? cock hen finch \w*thrush jay peafowl titmouse eagle owl grouse pheasant quail partridge parrots? macaws?
cockatoo lories cuckoo duck merganser swan stork heron egrets? bustard coot gallinule sandpiper rail snipes?
penguin albatross goose geese kite crow flamingo goldfinch turnstones? ptarmigan junco bulbul magpie hawks?;
cow: bull; buffalo: buffalo bovids?; ape: apes? gibbon; chicken: cock hen; parrot: parrots? cockatoo lories;
duck: duck merganser; fish: \w*fish\w* salmon; wildcat: lynx cougar; snake: \w*snake boa cobra mamba viper;
lizard: lizards? gecko chameleon; sea turtle: turtles?; insect: insects? \w*beetles? \w*butterfl\w*;
butterfly: butterfl\w*; mushroom: mushroom fungus; fungus: fungus fungi; fruit: fruit apple; bread: bread roll;
vegetable: vegetable cabbage flowers? squash artichokes? pepper; swimsuit: bikini maillot; jug: jug pitcher;
food: fruits? cabbage flowers? squash vegetable edible sauce loaf pie dough stew soup pudding ice dip flour
pasta hamburger potato bun cracker roll pepper tortilla apple artichokes?; airplane: \w*planes?;
boat: \w*boats? canoe gondola; ship: ship vessel; sailboat: sailing sailboat boat; beach: sand shore;
car: car cars automobile; train: train locomotive railcar; motorcycle: motor\w*; laptop: computer; cup: cup mug;
musical instrument: instruments? guitar piano drum chordophone woodwind trombone; shoe: shoe footwear;
bathtub: tub bathtub; sunglasses: sunglass sunglasses; shop: shop bakery marketplace; gun: gun firearm"""

FOUND = """
a volcano in the style of Van Gogh at night = volcano | a red teapot = teapot | an oil painting of a castle = castle
a watercolour of two cats, at sunset = cat | a polar bear on a chair = polar bear, chair
a bear and a teddy bear = bear, teddy bear | Two hot dogs and a dog = hot dog, dog | a hotdog stand = hot dog
a sea lion, a guinea pig = sea lion, guinea pig | a school bus behind a sports car = school bus, sports car
a grand piano beside a piano = grand piano, piano | three koala bears = koala | an Egyptian cat = egyptian cat
a hot-air balloon over the Alps = hot air balloon, alp | hot air balloons = hot air balloon | a T-shirt = t-shirt
a lion fountain = fountain | a tiger shark = tiger shark | lion fish = fish | a strawberry ice cream = ice cream
an orange on a table = orange, dining table | an orange = orange | two oranges, sliced = orange
a lemon floating in space = lemon | an orange sky over a volcano = volcano | an orange cat = cat
a blue and orange castle = castle | crane (bird) = crane (bird) | a Crane (machine) at dawn = crane (machine)
cranes (bird) by a lake = crane (bird), lakeside | a construction crane = crane (machine) | a jaguar = jaguar
a jaguar (cat) in the jungle = jaguar | a jaguar car = car | a jaguar (car) = car | a cat in a comic book = cat
 a kite (bird) = kite (bird) | a cardigan = cardigan
a fly on a plate = fly, plate | two flies = fly | a woman in a red dress = gown | three wolves = wolf
geese and foxes = goose, fox | puppies in a box = dog | butterflies = butterfly | volcanoes erupting = volcano
oxen = ox | two cows = cow | a yellow lemon = lemon
loaves of bread = bread | a rabbit, a hare, a fox and a red fox = rabbit, hare, fox, red fox
a castle by the sea = castle | a lighthouse by a lake = lighthouse, lakeside | two dogs side by side = dog
a cat by Cat Stevens = cat | a ship in the style of a stained glass window = ship
a cat in the style of Klimt, a dog = cat, dog | a van gogh painting of a lighthouse = lighthouse
a comic book drawing of a dog = dog | a St. Bernard = saint bernard | a St Bernard = saint bernard
jack-o'-lanterns = jack-o'-lantern | sunglasses = sunglasses | a maillot = maillot | a bath towel = bath towel
a gray whale and a grey fox = grey whale, grey fox | a ladybird, a ladybug = ladybug, ladybug
a zucchini and a courgette = zucchini, zucchini | a panda and a red panda = giant panda, red panda
a killer whale under a suspension bridge = killer whale, suspension bridge
a street sign at the seashore = street sign, seashore | an aeroplane, an airplane = airplane, airplane | PIZZA = pizza
cats' = cat | mouse, computer mice = computer mouse | a fox in the snow, at night = fox"""

NOTHING = """
a city in the style of Van Gogh at night | peace | a ratio of 16:9 | two lovers dancing | love | the fly-by-night
an old man | a house at night | time flies | birds of paradise | a cock-and-bull story | a fish tank
an orange sunset | a strawberry cake | lemon yellow light | a cat-like creature | a lion-shaped cloud | a catwoman
category | by Cat Stevens | inspired by a volcano | in the style of a cat | fish and chips | a top hat
a room without a cat | no dogs | in bright orange | teal and orange | a safe place | watch the sea | van gogh
New Jersey | a bowl of tea | artificial | mouse | kite | a pick | the ai | a velvet sky | the grim reaper | a monarch"""

WITHOUT = """
a volcano in the style of Van Gogh at night -> in the style of Van Gogh at night | a red teapot -> red
an oil painting of a castle -> an oil painting | a watercolour of two cats, at sunset -> a watercolour, at sunset
a cat ->  | 3 dogs and a cat, of the ->  | a pair of sunglasses ->  | a cat, a dog, a starry sky -> a starry sky
a starry sky, a cat -> a starry sky | a cat and a starry sky -> a starry sky
a forest with a castle at night -> a forest at night | a red car and a blue car -> red and blue
a cup of tea -> tea | an orange sky -> an orange sky | a cat at 12:05, 16:9 -> at 12:05, 16:9
A crane (bird), in fog. -> in fog. | a poster of "a cat" -> a poster | "a cat" ->  | (a red cat), fog -> red, fog
24 cats in the style of Klee -> in the style of Klee"""

INFO = ImageNetInfo()


@cache
def told(index: int) -> str:
    """What WordNet says of a class: its names and its definition, in lower case."""
    return key(INFO.index_to_description(index, detailed=True))


def groups() -> dict[str, tuple[int, ...]]:
    classes = {(row[0], (index,)) for index, row in enumerate(class_rows())}
    entries = [entry for entry in lexicon().entries.values() if entry.classes]
    return {entry.name: entry.classes for entry in entries if (entry.name, entry.classes) not in classes}


def names_of(text: str) -> list[str]:
    return [thing.name for thing in things_in(text)]


def test_every_class_has_names_and_every_display_name_means_one_class():
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert all(name == name.lower().strip() and name for row in class_rows() for name in row)


def test_the_names_of_a_class_share_a_word_with_its_names_in_wordnet():
    everyday = dict(row.split(" ", 1) for row in EVERYDAY.replace("\n", "|").split("|"))
    for index, row in enumerate(class_rows()):
        words = set(told(index).split())
        for name in row:
            shared = {word for word in key(name).split() if len(word) > 2} & words
            known = shared or key(name).replace(" ", "") in told(index).replace(" ", "")
            assert known or name in everyday.get(str(index), "").split(", "), (index, name, told(index))


def test_no_everyday_name_is_listed_in_vain():
    for row in EVERYDAY.replace("\n", "|").split("|"):
        index, names = row.split(" ", 1)
        assert set(names.split(", ")) <= set(class_rows()[int(index)])


def test_most_names_are_those_of_wordnet():
    lemmas = [{key(name) for name in text.split(", ")} for text in INFO.label_descriptions()]
    first = sum(
        any(key(re.sub(r" \(.*", "", name)) in lemmas[index] for name in row) for index, row in enumerate(class_rows())
    )
    assert first >= 990


def test_every_class_of_a_group_is_of_its_kind():
    signs = dict(row.split(": ") for row in re.split(r";\s+", SIGNS.strip()))
    assert set(signs) <= set(groups())
    for name, classes in groups().items():
        words = "|".join(signs[name].split()) if name in signs else rf"{name}\w*"
        assert [told(index) for index in classes if not re.search(rf"\b(?:{words})\b", told(index))] == [], name


def test_cats_dogs_and_birds_are_all_there():
    known = groups()
    assert known["cat"] == tuple(range(281, 286))
    assert known["dog"] == tuple(range(151, 269))
    assert told(151).startswith("chihuahua")
    assert told(268).startswith("mexican hairless")
    assert len(known["bird"]) == 59


@pytest.mark.parametrize(
    "kind", ["terrier", "spaniel", "retriever", "schnauzer", "poodle", "shark", "guitar", "whale", "crab"]
)
def test_no_class_of_a_kind_is_missing_from_its_group(kind: str):
    lemmas = [text.split(", ") for text in INFO.label_descriptions()]
    named = {index for index, names in enumerate(lemmas) if names[0].lower().split()[-1] == kind}
    assert named <= set(groups()[kind])


def test_names_that_classes_share_are_groups_or_have_qualifiers():
    known = lexicon().entries
    assert lexicon().last | lexicon().article <= set(known)
    for index, row in enumerate(class_rows()):
        for name in row:
            if "(" not in name:
                assert index in known[key(name)].classes, name


def test_indices_are_in_order_and_no_plural_reads_as_another_name():
    known = lexicon().entries
    for name, entry in known.items():
        assert list(entry.classes) == sorted(set(entry.classes))
        *lead, last = name.split()
        for singular in singulars(last):
            other = known.get(" ".join([*lead, singular]), entry)
            assert other.classes == entry.classes, (name, other)


@pytest.mark.parametrize("row", re.split(r" \| |\n", FOUND.strip()))
def test_prompts_and_what_they_name(row: str):
    text, names = row.split(" = ")
    assert names_of(text) == names.split(", ")


@pytest.mark.parametrize("text", ["", " ", *re.split(r" \| |\n", NOTHING.strip())])
def test_prompts_that_name_nothing(text: str):
    assert names_of(text) == []
    assert without_things(text, ()).split() == text.split() or not without_things(text, ())


@pytest.mark.parametrize("row", re.split(r" \| |\n", WITHOUT.strip("\n")))
def test_the_text_without_its_things(row: str):
    text, rest = row.split(" ->")
    assert without_things(text, things_in(text)) == rest.strip()


def test_a_thing_says_where_it_is_and_what_it_means():
    assert names_of("a spider\u2019s web") == ["spider web"]
    (thing,) = things_in("Two Egyptian cats")
    assert (thing.words, thing.start, thing.end, thing.classes) == ("Egyptian cats", 4, 17, (285,))
    assert things_in("the crane (bird)")[0].words == "crane (bird)"


def test_every_name_of_a_class_is_found_as_that_class():
    for index, row in enumerate(class_rows()):
        for name in row:
            text = f"a photo of a {name}"
            (thing,) = things_in(text)
            assert index in thing.classes
            assert thing.end == len(text)


def test_a_word_of_two_kinds_is_refused_with_the_way_out():
    message = '"crane" can be crane (bird) or crane (machine); write "crane (bird)" or "crane (machine)"'
    with pytest.raises(UsageError, match=re.escape(message)):
        things_in("a crane at dawn")
    assert names_of("in the style of a crane") == []
    assert names_of("a crane fountain") == ["fountain"]
    refused = {base for base, meanings in lexicon().qualified.items() if len(meanings) > 1}
    assert {base for base in refused if not lexicon().entries[base].classes} == {"crane"}


def test_near_names():
    assert nearest_names("volcanoe")[0] == "volcano"
    assert "elephant" in nearest_names("elefant")
    assert len(nearest_names("cat", 1)) == 1
    assert nearest_names("xqzzw") == nearest_names("") == nearest_names("cat" * 999) == []


WORDS = st.sampled_from(
    [
        "a",
        "an",
        "cat",
        "cats",
        "crane",
        "orange",
        "fly",
        "(bird)",
        "(",
        ")",
        "-",
        ",",
        ".",
        "'",
        "by",
        "in",
        "style",
        "of",
        "and",
        "St",
        "Bernard",
        "the",
        "two",
        "fish",
    ]
)


@given(
    st.one_of(
        st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join), st.lists(WORDS, max_size=14).map("".join)
    )
)
def test_spans_are_those_of_the_words_and_nothing_breaks(text: str):
    try:
        things = things_in(text)
    except UsageError:
        return  # a plain "crane"
    at = 0
    for thing in things:
        assert at <= thing.start < thing.end
        assert text[thing.start : thing.end] == thing.words
        assert thing.classes
        at = thing.end
    rest = without_things(text, things)
    assert "  " not in rest
    assert rest == rest.strip()


@pytest.mark.parametrize(
    "piece",
    ["cat ", "by ", "by the ", "(", "a'", "-", " ", "style of ", "orange and ", "St. ", "fly, ", "é", "crane ("],
)
def test_a_long_text_takes_no_long_time(piece: str):
    text = (piece * 2000)[:2000]
    lexicon()
    start = time.perf_counter()
    try:
        without_things(text, things_in(text))
    except UsageError:
        assert "crane" in piece
    assert time.perf_counter() - start < 2.0  # it takes a hundredth of that
