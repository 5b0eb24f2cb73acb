"""Words of English that name no thing: what a prompt says beside its things. Torch-free."""

from clipgen.config.class_words import ARTICLES, CONNECTORS, NEGATIONS, VERBS
from clipgen.config.readings import FUNCTION_WORDS

_SMALL = """
a about above across after again against all almost along also although always am among an and another any anyone
anything are around as at away back be because been before behind being below beneath beside between beyond both but by
can could did do does down during each either else enough even ever every everyone everything few for from front get
gets had half has have he her here hers him his how i if in inside instead into is it its just last least left less
like many may me might mine more most much must my near neither never next no nobody none nor not nothing now of off
often on once one only onto or other our out outside over own per perhaps please quite rather right same several shall
she should side since so some someone something sometimes still such than that the their them then there these they
this those through throughout till to together too top toward towards under underneath until up upon us very via was we
were what whatever when where which while who whom whose why will with within without would yet you your zero four five
six seven eight nine ten eleven twelve twenty hundred thousand first second third dozen pair couple bunch lot lots bit
kind sort type group piece set number plenty full bottom middle centre center corner edge background foreground don't
isn't s t
"""
_VERBS = """
add become becomes build built burn burns carries carry chase chases come comes cook cooks create created cut dance
dances draw drawn dress dresses drink drinks drive drives eat eats fall falls feel feels fight fights fill filled fly
flies flew float floats give gives glow glows go goes grow grows grown hang hangs has hide hides hold holds hug hugs
jump jumps keep kiss kisses laugh laughs lay lie lies lit live lives look looks made make makes meet meets melt melts
move moves paint paints play plays pose poses read reads rest rests ride rides rise rises run runs sail sails see seen
sees set shine shines shot show shows shown sing sings sit sits sat sleep sleeps smile smiles stand stands stood swim
swims take takes taken talk talks think thinks throw throws torn turn turns walk walks want wants wear wears worn write
writes
"""
_DESCRIPTIONS = """
abandoned abstract adorable aerial alone amazing ancient angry antique asleep awake awesome bad bare beautiful best
better bold bright broken busy calm cartoon cheerful classic clean clear close closed cloudy cold colorful colourful
cool cosmic cozy cosy creepy crisp crystal curious cute damp dark dead deep delicate dense detailed different dim dirty
dramatic dreamy dry dull dusty eerie elegant empty enchanted endless enormous epic evil exotic famous fancy fantastic
far fast fat fierce fine flat fluffy foggy free fresh friendly frozen funny furry futuristic gentle ghostly giant
gigantic glad glossy good gorgeous gothic grand great grim happy hard haunted heavy high hot humble icy illustrated
impressive infinite isolated jolly joyful large late lazy light lonely long lost loud lovely low lucky lush magic
magical majestic massive mechanical medieval melting metal metallic mighty minimal minimalist mini misty modern moody
mysterious mystic mystical narrow nasty natural neat new nice noble noisy odd old open ornate pale peaceful perfect
plain playful pleasant polite pretty proud pure quiet quick radiant rainy rare raw real realistic retro rich ripe rough
round royal rusty sad scary serene shallow sharp short shy silent silky silly simple single skinny sleepy sleek slim
slow smooth snowy soft solid sour spicy spooky square starry steep stormy strange strong stunning stylish sunny super
surreal sweet tall tame tasty tender thick thin tough transparent translucent traditional tropical ugly unusual vast
vibrant vintage vivid warm wavy weak weird wet whimsical wide wild windy wise wonderful wooden wrong young
european american african asian english french german italian spanish chinese japanese indian russian
beige bronze copper cream dark golden indigo khaki lavender lilac lime magenta maroon mauve navy olive rainbow ruby
salmon silver tan
"""
_ABOUT_THE_PICTURE = """
aesthetic art artistic artstation artwork award canvas cinematic closeup clip color colored colors colour coloured
colours composition concept deviantart digital drawing engine hd hdr high-quality highres illustration image images
k lighting masterpiece octane painting photo photograph photographic photography photorealistic picture pictures poster
print quality render rendered rendering resolution scene scenery shot sketch style styles trending ultra unreal
version view wallpaper winning uhd fps
"""
_NOUNS_LIKE_VERBS = frozenset(
    """
    bed bee breed building butterfly ceiling clothing dragonfly duckling dumpling earring evening family fly firefly
    jelly king lightning lily morning monopoly offering pudding reed ring sapling seed shed sibling sled spring steed
    string swing thing viking weed wedding wing belly bully ally italy july anomaly earthling gosling hireling holly
    molly dolly trolley sterling darling starling herring sewing wellington attic arctic plastic table vegetable cable
    stable constable mystic
    """.split()  # noqa: SIM905
)
SMALL_WORDS = FUNCTION_WORDS | ARTICLES | CONNECTORS | NEGATIONS | VERBS | frozenset(_SMALL.split())
"""Words that say nothing by themselves."""
NO_THINGS = SMALL_WORDS | frozenset(f"{_VERBS} {_DESCRIPTIONS} {_ABOUT_THE_PICTURE}".split())


def names_no_thing(word: str) -> bool:
    """Tell whether a word, in lower case, only connects, describes or says what is done, as "for", "old", "flying"."""
    if word in NO_THINGS or len(word) < 2:
        return True
    if word in _NOUNS_LIKE_VERBS or word.removesuffix("s") in _NOUNS_LIKE_VERBS or len(word) < 5:
        return False
    endings = ("ing", "ed", "ly", "ful", "less", "ous", "ish", "tic", "able", "ible", "esque")
    return word.endswith(endings) and not word.endswith(("fish", "shed"))
