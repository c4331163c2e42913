"""Reports about places that do not exist: facts in one wording, questions in another.

Owned here: the wordings and how a report is put together.  A fact has slots that are drawn, so that the same
sentence stands in many reports with other values; its question names the place or the person, never the
value.  Half of the facts name their place only in a heading or a sentence before.
"""

from __future__ import annotations

import random

_HEADS = "Bran Vel Ost Kel Tar Ill Sor Has Mor Fen Wyk Dra Lun Pel Gar Rud Esk Nor Cal Tew Hol Ash Ber Quin".split()
_TAILS = (
    "noch mund dra wick lin by rel ken ster ham vale croft mere stow thorpe gate field ney combe well".split()
)
_PEOPLE = "Ada Bor Cela Dov Edda Finn Gita Hal Ines Jory Kaya Levin Mara Nils Oda Per Ruta Sven Tilda Ugo Vera Wim".split()

# (what is told, how it is asked for).  {p} the place, {n} a person, {a} {b} values that are drawn.
FACTS: list[tuple[str, str]] = [
    ("The harbour master of {p}, {n}, gave up the post after a gale had wrecked the {a} pier.",
     "Why did the person in charge of the port of {p} resign?"),
    ("Bread is baked only {a} times a week here, because the single mill stands still when the brook is low.",
     "How often can one buy fresh loaves in {p}, and what limits it?"),
    ("The school of {p} teaches in the mornings, since every pupil helps with the {a} after noon.",
     "When are lessons held in {p} and what do children do later in the day?"),
    ("Whoever wants to marry has to plant a {a} tree behind the chapel first.",
     "What must couples in {p} do before their wedding?"),
    ("{n} repaired the church clock with parts of an old {a} and has wound it every Sunday since.",
     "Who keeps the tower's timepiece in {p} going, and what was it mended with?"),
    ("The council sold the town forest to a {a} company in order to pay for the new waterworks.",
     "How did {p} raise the money for its water supply?"),
    ("Dogs are forbidden on the ferry since one of them bit the {a} inspector.",
     "What is the reason that pets may not take the boat in {p}?"),
    ("In {p} the tax on windows was replaced by a tax on {a} chimneys, which emptied the upper floors.",
     "Which levy followed the one on panes of glass in {p}, and what came of it?"),
    ("The doctor {n} discovered that the fever came from the {a} wells and had them closed.",
     "What did the physician in {p} find to be the cause of the illness?"),
    ("Coal was found under the {a} meadow, but the seam is too thin to be worth digging.",
     "Why is there no mine in {p} although there is fuel in the ground?"),
    ("The bridge carries no carts heavier than {a} tonnes since the flood moved its middle pillar.",
     "What is the greatest load that may cross the river in {p}?"),
    ("{n} taught the deaf children of {p} with signs borrowed from the {a} monks.",
     "Where did the sign language used for pupils who cannot hear in {p} come from?"),
    ("A fire in the {a} warehouse destroyed all birth records from before the war.",
     "Why can people from {p} not look up when their grandparents were born?"),
    ("The best cheese is left for {a} months in a cave, where a blue mould grows on it by itself.",
     "How long do the dairy products of {p} ripen, and where?"),
    ("Strangers are asked to leave a {a} stone at the well before they drink from it.",
     "What do visitors have to put down in {p} if they are thirsty?"),
    ("The railway passed {p} by because {n} refused to sell the {a} field at any price.",
     "Whose stubbornness kept trains away from {p}?"),
    ("Since the bell cracked, a {a} horn calls people to the market.",
     "How are the inhabitants of {p} told that trading begins?"),
    ("{n} won the regatta {a} times in a boat built of driftwood.",
     "Who was the most successful sailor of {p} and what was the vessel made of?"),
    ("The library lends its books for {a} weeks and takes eggs as a fine from whoever is late.",
     "What is the penalty for bringing back a volume too late in {p}?"),
    ("Wolves were last seen in the hills above {p} in the winter when {n} was mayor of the {a} league.",
     "When did the predators disappear from the surroundings of {p}?"),
    ("The hospital was built beside the {a} tannery, whose smell was thought to keep the plague away.",
     "What explains where the sick are treated in {p}?"),
    ("Every {a} year the river is diverted for a day so that the sluices can be cleaned.",
     "How often is the stream of {p} led another way, and for what?"),
    ("{n} wrote the first dictionary of the local dialect while sitting in prison for {a} debts.",
     "Who recorded how people speak in {p}, and under what circumstances?"),
    ("The glassworks closed because the {a} sand they needed had run out.",
     "What ended the production of bottles in {p}?"),
    ("Potatoes were unknown until a shipwrecked {a} sailor planted some behind the inn.",
     "How did the tuber reach the kitchens of {p}?"),
    ("The theatre plays without a roof, since {n} gambled the money for it away in {a} nights.",
     "Why do the spectators in {p} get wet?"),
    ("The lighthouse shows a {a} light on foggy nights and none at all on clear ones.",
     "What do ships see from the beacon of {p} when visibility is poor?"),
    ("Thieves are sentenced to sweep the {a} square for a month in a yellow coat.",
     "How does {p} punish people who steal?"),
    ("{n} keeps bees on the roof of the town hall and pays the rent in {a} candles.",
     "What does the owner of the hives in {p} give for the use of the building?"),
    ("The dam was raised by {a} feet after the spring when the lower mills were washed away.",
     "What was done in {p} against floods, and after which event?"),
    ("An inscription over the gate, in {a} letters, says that nobody shall be asked for a name here.",
     "What can one read above the entrance to {p}?"),
    ("The painter {n} mixed the famous green of {p} from copper and {a} vinegar.",
     "From which ingredients did the artist make the well-known colour in {p}?"),
    ("A tunnel leads from the {a} cellar to the other bank, and smugglers used it for salt.",
     "By which hidden way did contraband enter {p}?"),
    ("Midsummer is celebrated {a} days late, because the priest once lost his almanac.",
     "For what reason is the feast of {p} not held on its proper date?"),
    ("{n} measured the height of the {a} peak with a barometer and was wrong by a third.",
     "How good was the determination of the mountain's altitude near {p}, and who made it?"),
    ("The printers of {p} went on strike until they were given {a} windows to work by.",
     "What did the people who make newspapers in {p} demand?"),
]  # fmt: skip

_VALUES = (
    "two three four five six seven nine twelve northern eastern old upper lower red white copper iron oak "
    "walnut birch royal Danish Flemish Spanish goose barley linen salt marble granite silver"
).split()
_FILLER = [
    "Visitors arrive by the coast road, which is narrow and winds along the cliffs.",
    "The market square is paved with grey stone that was brought here from the quarries inland.",
    "Most houses have two floors and a cellar in which the winter's wood is kept.",
    "An old map shows a wall around it, of which little is left but a heap of stones.",
    "In spring the meadows flood, and the paths to the neighbouring farms are closed for some weeks.",
    "The town hall has a clock that is seldom right, and nobody seems to mind.",
    "Trade was brisk until the great road took another way, and has been modest ever since.",
    "Several painters spent their summers here and left pictures in the inns instead of money.",
    "The soil is heavy and wet, good for grass and bad for wheat.",
    "Fishing boats leave before dawn and come back with the tide.",
    "On market days the streets are full of carts, and on other days of hens.",
    "There is a chronicle, but whole decades are missing from it.",
    "The winters are mild, with much rain and little snow.",
    "Young people tend to move away, and some of them come back when they are old.",
    "The inn by the bridge has changed its name four times and its menu never.",
    "A small museum shows tools, uniforms and the skull of a whale.",
    "The dialect has a dozen words for fog and none for hurry.",
    "Two brooks meet below the chapel and turn the wheels of several workshops.",
    "The oldest building is a granary, which now houses the fire brigade.",
    "Letters come twice a week if the weather allows it.",
]
_HEADINGS = (
    "Situation|History|Customs|Trade and work|People|Buildings|Reports of travellers|Curiosities".split("|")
)


def names(draw: random.Random, count: int) -> list[str]:
    """Different invented names."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw.choice(_HEADS) + draw.choice("aeiou" + " " * 9).strip() + draw.choice(_TAILS)] = None
    return list(found)


def report(
    draw: random.Random, place: str, people: list[str], kinds: list[tuple[str, str]]
) -> tuple[str, list[tuple[str, list[tuple[int, int]]]]]:
    """A report about a place: (text, [(question, spans of its evidence)])."""
    chosen = draw.sample(kinds, draw.randint(6, 9))
    lines = [f"# {place}"]
    facts: list[tuple[str, str]] = []
    rest = list(chosen)
    for heading in draw.sample(_HEADINGS, draw.randint(3, 4)):
        lines += ["", f"## {heading}"]
        for _ in range(draw.randint(1, 3)):
            around = draw.sample(_FILLER, draw.randint(2, 5))
            if rest:
                wording, asked = rest.pop()
                person = f"{draw.choice(_PEOPLE)} {draw.choice(people)}"
                fact = wording.format(p=place, n=person, a=draw.choice(_VALUES))
                around.insert(draw.randint(0, len(around)), fact)
                facts.append((fact, asked.format(p=place, n=person)))
            lines += ["", " ".join(around)]
    text = "\n".join(lines) + "\n"
    return text, [(asked, [(at, at + len(fact))]) for fact, asked in facts if (at := text.index(fact)) >= 0]
