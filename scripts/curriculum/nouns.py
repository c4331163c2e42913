"""Nouns: ordinary ones written here, and invented ones of varied spelling."""

from __future__ import annotations

import hashlib
import keyword
import random

COMMON = """
account address age album alarm amount angle answer apple area arrow article author badge bag balance ball
band bank barn barrel base basket battery beach bean bed bell belt bench bill bird blanket block board boat
body bonus book border bottle bowl box branch brand bread brick bridge brush bucket budget bug building
button cabin cable cake calendar camera camp candle capacity capital captain car card cargo carpet cart case
cash castle cat cell chain chair channel chapter charge chart chat cheese chest chicken child circle city
class client clock cloud club coach coast coat code coffee coin collection color column comment company
cookie copper cost cotton course cousin cover cow crate credit crew crop crowd cup curtain customer damage
data deadline debt deck degree delivery deposit depth desk detail device diary dish distance district doctor
document dog dollar door dose draft drawer dream dress drink driver drum duck due duration dust duty eagle
ear earning edge editor egg email employee energy engine entrance episode error event exam expense export
eye fabric face factory fan fare farm father fault feature fee feeling fence festival fever field file film
finger fire fish flag flat fleet flight floor flour flower folder font food forest fork form fortune frame
freight friend frog fruit fuel fund funnel furnace game garage garden gate gear gift glass glove goal goat
gold grade grain grant grape grass group guard guest guide guitar habit hall hammer hand handle harbor hat
head health heap heart heat height herd hero highway hill hint hobby hole holiday home honey horse hospital
hotel hour house hunger income index ingredient ink insect interest invoice iron island jacket jar job joke
journal journey judge juice jump jungle kettle keyword kitchen kitten knife knot label ladder lake lamp land
lane language laptop lawn layer leader league lease ledger legend lemon length lesson letter level library
license life light line lion liquid loan lock log lunch machine magnet mail manager map margin market mask
mass match material mayor meal measure medal medicine meeting member memo memory menu message metal meter
milk mill mine minute mirror mission model money monitor month mood moon motor mountain mouse movie mug
muscle museum music nail name nest network newspaper nickname nose note notebook notice number nurse oak
ocean office oil onion orange orbit orchard order organ outfit oven owner package page paint pair palace
panel paper parcel parent park part partner party passenger password path patient payment pen penalty pencil
people pepper permit person phone photo piano picture piece pilot pin pipe place plan planet plant plate
player playlist plot pocket poem poet point pond pool port post pot potato pound powder power present
pressure price prize probe problem profile profit project promise property pump pupil puppy purse puzzle
quality quantity queen question queue quote rabbit race radio rain rank rate reading receipt recipe record
refund region rent reply report reserve resident resource result review reward ribbon rice ring river road
robot rocket roof room root rope rose route row rule runner sack sail salary sale salt sample sand savings
scarf scene schedule school score screen sea season seat second secret section seed sensor sentence series
server service session shade shadow shape share sheep sheet shelf shell shift ship shirt shoe shop shore
shoulder show side signal silver singer sister site size skill skin sky slogan smoke snack snow soap sock
soil song sound soup source space speaker species speed spice spoon sport spring stage stair stamp star
station statue status steam stock stone storage store storm story street string student studio subject
subtitle sugar suitcase sum summary sun supply surface survey swan sweater switch symbol table tag tail tale
tank target task tax taxi tea teacher team temperature tent term test theater theme thought thread threshold
ticket tide tiger tile timer tip tire title token tomato tone tool tooth topic torch tour towel tower town
toy track trade traffic trail train transfer tray treasure treat tree trend tribe trip truck tube tunnel
turn turtle tutor uncle uniform unit user vacation valley van vase vault vehicle vendor version victim video
view village visit visitor voice volume voter wage wagon wall wallet warehouse warning watch water wave
weapon weather website week weight wheel width wind window wine wing winner winter wire witness wolf wood
wool worker workshop world wound writer yard year yield zone
""".split()
ADJECTIVES = """
main daily total unit base max min first last home old new top red green monthly yearly final spare extra
shared public private draft open closed active gross net street backup early late inner outer upper lower
left right side front default initial weekly super mini local global hidden raw used free paid billing
shipping birth start end due
""".split()
SPEAKING = "count total level word text list item size number value letter limit average step maximum".split()
TEXT_NAMES = (
    "name title label status note owner city color motto slogan greeting message subject author nickname"
).split()
# words that operations know by name are seen by every mind
KNOWN = frozenset(
    """width length height breadth depth side radius first last name owner nickname price unit cost quantity
    amount revenue income sales costs expenses spending distance miles time hours duration mass weight
    volume celsius temperature fahrenheit age birth year of guests members items players passengers guest
    member item player passenger capacity seats places seat place start date begin end finish account
    balance""".split()
)
DATE_NAMES = (
    "deadline birthday due_date start_date end_date created opened joined expiry day date born".split()
)
BOOL_NAMES = (
    "active open done ready enabled visible locked paid public hot member finished online verified".split()
)

_ONSETS = (
    "b c d f g h j k l m n p r s t v w y z br bl cr cl dr fl fr gl gr pl pr qu sc sh sk sl sm sn sp "
    "st sw th tr tw"
    " ch wh ph kn wr"
).split() + [""]
_VOWELS = "a e i o u a e i o ai ea ee oo ou ie oa au y eo ia".split()
_CODAS = (
    "b d g k l m n p r s t x ck ff ld lk ll lm lt mb mp nd ng nk nt rd rk rl rm rn rp rt sk ss st th ve ze"
).split() + [""] * 24


def invented(rng: random.Random) -> str:
    """A word that is in no list: one to four syllables, spelled now like English and now like nothing."""
    if rng.random() < 0.12:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
    word = "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
        for _ in range(rng.choice((1, 2, 2, 2, 3)))
    )
    if rng.random() < 0.15:
        word = rng.choice(COMMON)[:4] + word
    return (word if len(word) > 2 else word + rng.choice(("ker", "don", "lin", "mas")))[:16]


def plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "ch", "sh", "z")):
        return word + "es"
    return word + "s"


def held_out(word: str) -> bool:
    """Whether a word is kept from training: one in ten, by its spelling alone, so that no list need be
    kept."""
    return hashlib.sha256(b"noun " + word.encode()).digest()[0] < 26 and word not in KNOWN


def noun(rng: random.Random, unseen: bool = False, common: float = 0.45) -> str:
    """A noun of one or two words, all of them seen in training, or with `unseen` none of them."""

    def word():
        while True:
            out = rng.choice(COMMON) if rng.random() < common else invented(rng)
            if held_out(out) == unseen and not keyword.iskeyword(out):  # `self.class` is no Python
                return out

    roll = rng.random()
    if roll < 0.72:
        return word()
    if roll < 0.86:
        return f"{rng.choice(ADJECTIVES)}_{word()}"
    if roll < 0.97:
        return f"{word()}_{word()}"
    return f"{word()}{rng.randint(1, 9)}"
