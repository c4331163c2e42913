"""Notices about sixteen matters, for ranking whole documents by how much they are to the point.

Owned here: the wordings and how a notice is put together.  A notice is about one side of one matter, mentions
another side in passing, and is filled up with what any parish writes.  Of the two questions for each side one
uses words of its own, the other those that somebody would search for.  A notice about that side is worth 2,
one that is about the matter but another side of it 1, and every other notice nothing.
"""

from __future__ import annotations

import random

# Each matter: its sides, each with two wordings and two questions.  {a} is drawn.
MATTERS: list[list[tuple[str, str, str, str]]] = [
    [
        ("Beekeepers wrap their hives in straw mats before the first frost and leave {a} combs of honey inside.",
         "Before winter the colonies are put behind boards and given {a} pounds of sugar syrup.",
         "how do swarms survive the cold season", "what do beekeepers do with their hives in winter"),
        ("A mite that came with imported queens has killed {a} of ten colonies in the valley.",
         "Foul brood was found near the quarry, and {a} hives had to be burned.",
         "diseases and parasites of honey bees", "mites and foul brood in the hives"),
        ("Honey may be sold at the gate if the jar names the keeper and weighs at least {a} ounces.",
         "Whoever offers honey at the fair pays {a} pence for the stall and has the wax inspected.",
         "rules for selling what bees produce", "selling honey at the gate or the fair"),
    ],
    [
        ("The water from the upper spring is boiled for {a} minutes since the cattle broke the fence.",
         "Chlorine is added at the reservoir after {a} children fell ill in one week.",
         "is it safe to drink from the tap", "why is the water boiled or treated with chlorine"),
        ("Pipes of lead in the old houses are to be replaced within {a} years at the owner's cost.",
         "The council pays half where a house changes its lead mains for copper before the {a}th of May.",
         "who pays for new plumbing made of a harmless metal", "replacing lead pipes in old houses"),
        ("In a dry summer gardens are watered on {a} evenings a week only, and cars are not washed at all.",
         "When the reservoir is below its {a}th step, hoses are forbidden and fountains are turned off.",
         "restrictions during a drought", "watering the garden in a dry summer"),
    ],
    [
        ("The night train waits {a} minutes at the junction so that passengers from the coast can change.",
         "Whoever comes by the late ferry reaches the express, which is held for {a} minutes.",
         "will I miss my connection if the boat is delayed", "does the night train wait for passengers from the ferry"),
        ("A season ticket costs {a} crowns and is valid on buses as well.",
         "Pupils travel for {a} pence with a card that the school stamps.",
         "what is the fare for people who ride every day", "price of a season ticket or a card for pupils"),
        ("The tunnel is closed for {a} weeks because water drips onto the wires.",
         "Until the viaduct has new bearings, {a} trains a day are replaced by coaches.",
         "repairs that interrupt rail traffic", "how long is the railway tunnel or viaduct closed"),
    ],
    [
        ("Bread rises overnight in the cellar, where it is never warmer than {a} degrees.",
         "The dough of the village bakery rests for {a} hours, which makes it easy to digest.",
         "how long do loaves ferment before they go into the oven", "how many hours does the bread dough rest"),
        ("Rye has failed {a} times in ten years, so the mill buys it across the border.",
         "Flour became dear after the rain in August, by {a} pence a sack.",
         "shortage of grain and its price", "bad rye harvest and the price of flour"),
        ("The wood oven is fired with beech on {a} mornings a week and swept with a wet broom.",
         "The baker heats the stones for {a} hours, rakes out the embers and begins with the largest loaves.",
         "how is the baking chamber brought to heat", "heating the wood oven of the bakery"),
    ],
    [
        ("Wolves have taken {a} sheep since Easter, most of them from pastures without a dog.",
         "A pack was seen by the foresters, and {a} lambs were found dead at the upper hut.",
         "losses of livestock to wild predators", "how many sheep or lambs were killed by wolves"),
        ("The state pays for {a} yards of electric fence and for a donkey that guards the herd.",
         "Shepherds who keep {a} large dogs get their fodder for nothing.",
         "help for farmers who protect their animals", "money for electric fences and dogs for the herd"),
        ("A wolf may be shot only after it has jumped a fence {a} times, and by the warden alone.",
         "The permit to kill the grey one was withdrawn by the judge after {a} days.",
         "is hunting the predators allowed", "when may a wolf be shot"),
    ],
    [
        ("The clinic is open on {a} afternoons, and on Sundays the nurse from the mill comes to the house.",
         "When the surgery is closed, the doctor of the next village answers within {a} minutes.",
         "where can a patient go outside the usual hours", "which doctor or nurse can I call on Sunday"),
        ("Children are vaccinated against measles in the school gymnasium, {a} classes a day.",
         "The injection against lockjaw is renewed every {a} years free of charge.",
         "immunisation of pupils and adults", "vaccination of children against measles"),
        ("Old people who live alone carry a button; help came in {a} minutes when it was last pressed.",
         "Volunteers ring {a} widows every morning and drive over where nobody answers.",
         "how is somebody found who fell at home", "help for old people who live alone"),
    ],
    [
        ("Glass is collected by colour beside the church, and {a} tonnes of it went to the works last year.",
         "Paper is fetched from the door every {a} weeks if it is tied with string.",
         "separating waste so that it can be used again", "collection of glass and paper"),
        ("Kitchen scraps go into the brown bin, whose contents heat {a} houses.",
         "Potato peel and grass are turned into gas behind the sewage works, enough for {a} stoves.",
         "energy from organic rubbish", "what is made of kitchen scraps in the brown bin"),
        ("Who leaves a mattress in the forest pays {a} crowns and carries it home.",
         "A camera at the quarry showed {a} men unloading tyres; the fine was doubled.",
         "punishment for illegal dumping", "fine for leaving a mattress or tyres in the forest"),
    ],
    [
        ("The choir sings without accompaniment since the organ lost {a} pipes to the damp.",
         "Woodworm has eaten the bellows of the organ, and {a} registers are silent.",
         "damage to the instrument in the church", "organ in the church damaged by damp and woodworm"),
        ("Lessons on the violin cost {a} crowns, and an instrument is lent for the first year.",
         "Whoever wants to learn the trumpet comes on Monday at {a}, lips rested.",
         "where can a child study how to play", "violin and trumpet lessons for beginners"),
        ("The brass band marches at the head of the procession and stops at {a} inns.",
         "At the fair there is dancing until {a}, with fiddles from the next valley.",
         "entertainment at the local festival", "brass band and dancing at the fair"),
    ],
    [
        ("Peat may be cut to a depth of {a} feet, and the top layer is put back with its plants.",
         "Every family has {a} yards of bog and marks them with white stones.",
         "how much fuel may one dig from the moor", "how deep may peat be cut in the bog"),
        ("Ditches in the moor were filled so that the moss grows again, and {a} cranes have come back.",
         "Since the water stands higher, the bog holds {a} rare dragonflies.",
         "restoring wetland and its wildlife", "rare birds and dragonflies since the ditches in the moor were filled"),
        ("A cow sank in the moor up to its neck and was pulled out with {a} ladders.",
         "The path of planks is closed after dark, since {a} walkers lost their boots in the mire.",
         "dangers of crossing boggy ground", "cow and walkers sinking in the moor"),
    ],
    [
        ("The school kitchen cooks for {a} children with vegetables from its own beds.",
         "Lunch for pupils costs {a} pence and is free for those whose parents have no work.",
         "what do children eat at noon and what does it cost", "price of lunch in the school kitchen"),
        ("Mathematics is taught in groups of {a} since the new headmistress came.",
         "Reading is practised with {a} grandmothers who come twice a week.",
         "how are pupils taught basic skills", "mathematics groups and reading practice at school"),
        ("The roof of the school leaks above {a} classrooms, and buckets stand between the desks.",
         "Heating failed in the old wing for {a} days, so lessons were held in coats.",
         "poor condition of the building where pupils learn", "leaking roof and broken heating of the school"),
    ],
    [
        ("Apple trees are pruned in February, and cuts wider than {a} fingers are sealed with wax.",
         "Old orchards get a new crown in {a} winters, a third of the wood at a time.",
         "when and how should fruit trees be cut back", "pruning old apple trees in winter"),
        ("Cider is pressed on {a} Saturdays in October; bring your own barrels.",
         "The juice of windfalls keeps for {a} months once it has been heated to eighty degrees.",
         "making drinks from the fruit harvest", "pressing cider and juice from apples in October"),
        ("Late frost destroyed the blossom on {a} of ten trees, although fires were lit all night.",
         "Hail stripped the pears in {a} minutes, a week before they were ripe.",
         "weather that ruined the crop", "blossom and pears destroyed by frost and hail"),
    ],
    [
        ("The fire brigade was at the barn in {a} minutes and pumped from the duck pond.",
         "Two engines and {a} volunteers fought the blaze at the sawmill until morning.",
         "how quickly were flames put out and by whom", "fire brigade at the barn and the sawmill"),
        ("Chimneys are swept {a} times a year, and the sweep looks at the stove as well.",
         "An alarm that smells smoke is to hang in every bedroom before the {a}th of March.",
         "measures to prevent houses from burning", "how often are chimneys swept, and smoke alarms"),
        ("Straw that was brought in wet grew hot and burned after {a} weeks.",
         "A lamp that fell in the stable was the cause; {a} horses were led out in time.",
         "what started the blaze on the farm", "cause of the fire in the stable"),
    ],
    [
        ("The library lends tools as well: drills for {a} days, ladders for a week.",
         "One can borrow a sewing machine with the reader's card, against {a} crowns.",
         "renting equipment from a public institution", "borrowing drills, ladders and sewing machines from the library"),
        ("Every {a}th book of the library is in a language of the newcomers.",
         "Stories are read aloud in Arabic and Polish on {a} afternoons.",
         "offers for immigrants who read", "books and stories in other languages at the library"),
        ("Mould was found on {a} volumes in the cellar, which are being frozen and dried.",
         "The oldest maps went to the capital, where {a} of them are cleaned page by page.",
         "conservation of damaged prints", "mould on old books and maps of the library"),
    ],
    [
        ("Fishing with nets is forbidden until {a} salmon have been counted at the weir.",
         "Trout shorter than {a} fingers are put back, and so are all in November.",
         "limits on what anglers may keep", "fishing rules for salmon and trout"),
        ("A ladder of {a} basins lets the salmon climb past the power station.",
         "The old weir was taken down, and spawn was found {a} miles further up.",
         "helping migrating animals past a dam", "fish ladder and weir for the salmon"),
        ("The works let dye into the river, and {a} baskets of dead fish were carried away.",
         "Slurry ran into the brook at night and killed everything for {a} miles.",
         "pollution that poisoned the water", "fish killed by dye or slurry in the river"),
    ],
    [
        ("Street lamps are dimmed after {a}, which saves a third of the current.",
         "New lamps shine downwards only, and {a} owls nest in the tower again.",
         "less light at night and what it is good for", "dimming the street lamps at night"),
        ("Solar cells on the town hall pay for themselves in {a} years.",
         "The roof of the gymnasium makes more power than {a} families use.",
         "electricity from the sun on municipal buildings", "solar cells on the roof of the town hall or gymnasium"),
        ("A wind wheel may stand no nearer than {a} yards to the last house.",
         "The neighbours of the turbine get {a} crowns a year for the noise.",
         "rules and compensation for rotors near homes", "how far from houses must a wind turbine be"),
    ],
    [
        ("The stone bridge is too weak for lorries above {a} tonnes, which go round by the ford.",
         "Cracks in the second arch are measured every {a} days with a strip of glass.",
         "how safe is the crossing over the river", "how heavy may lorries on the stone bridge be"),
        ("The crossing of the county road gets a roundabout after {a} accidents in a year.",
         "Cars are slowed by {a} humps where the children cross.",
         "making junctions less dangerous", "roundabout and humps that slow cars down"),
        ("Snow is cleared by farmers with their own tractors for {a} crowns an hour.",
         "Grit lies in {a} yellow boxes; whoever has a steep lane spreads it himself.",
         "winter service on roads", "clearing snow and spreading grit"),
    ],
]  # fmt: skip

_IN_PASSING = (
    "It was also said that {}", "From the same meeting: {}", "Somebody added the following. {}", "Not to be forgotten: {}",
)  # fmt: skip
_FILLER = [
    "The minutes of the last meeting were read and approved.", "The chair thanked everybody for coming.",
    "There were no questions from the public.", "The next meeting is on the second Tuesday of the month.",
    "Coffee was served in the side room.", "The treasurer was excused and had sent a letter.",
    "A vote was taken, and the motion was carried.", "It was agreed to write to the county.",
    "The clock in the hall was slow again.", "An umbrella was found and can be fetched from the clerk.",
    "The younger members asked for shorter meetings.", "Two letters of thanks were read out.",
    "Nobody objected to the budget.", "The door of the hall will be painted in spring.",
]  # fmt: skip
_VALUES = "four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen eighteen".split()


def notices(
    draw: random.Random, half: int, each: int
) -> tuple[dict[str, str], list[tuple[str, dict[str, int]]]]:
    """(notices by name, [(question, name of a notice -> what it is worth)]) about every second matter;
    `each` notices about each side of a matter."""
    texts: dict[str, str] = {}
    about: dict[tuple[int, int], list[str]] = {}
    for number, sides in enumerate(MATTERS):
        if number % 2 != half:
            continue
        for side in range(len(sides)):
            for value in draw.sample(_VALUES, each):
                main = draw.choice(sides[side][:2]).format(a=value)
                other = sides[draw.choice([n for n in range(len(sides)) if n != side])]
                passing = draw.choice(other[:2]).format(a=draw.choice(_VALUES))
                lines = draw.sample(_FILLER, draw.randint(4, 7))
                lines.insert(draw.randint(0, len(lines)), main)
                if draw.random() < 0.3:
                    lines.insert(draw.randint(0, len(lines)), draw.choice(_IN_PASSING).format(passing))
                name = f"notice {len(texts) + 1}"
                texts[name] = " ".join(lines)
                about.setdefault((number, side), []).append(name)
    questions = []
    for (number, side), found in about.items():
        worth = {name: 1 for (other, _), names in about.items() if other == number for name in names}
        worth |= dict.fromkeys(found, 2)
        questions += [(asked, worth) for asked in MATTERS[number][side][2:]]
    return texts, questions
