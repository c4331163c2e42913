"""Conversations that do not exist: two people, months of talk, and questions about what was said.

Owned here: the exchanges and how they become a talk.  An exchange is two to four turns; its evidence is
one turn, which often makes sense only after the one before it ("Since May, and I still get lost").
"""

from __future__ import annotations

import random

NAMES = (
    "Ann Bela Carl Dina Emil Fay Gus Hedy Ivo Jill Kurt Lena Milo Nora Otto Pia Rolf Susi Theo Una".split()
)
_MONTHS = "January February March April May June July August September October November December".split()

# (turns, which of them is the evidence, question).  {x} asks, {y} answers, {v} is drawn from the list.
EXCHANGES: list[tuple[list[str], int, str, list[str]]] = [
    (["Have you settled into the new flat?", "Since {v}, and I still get lost on the way to the bakery."], 1,
     "When did {y} move house?", _MONTHS),
    (["Which instrument did you pick in the end?", "The {v}. My neighbours hate me already."], 1,
     "What does {y} play?", "cello trumpet oboe accordion banjo harp".split()),
    (["You looked worried yesterday, is it the job?", "They are closing the {v} department, so mine is gone by spring."], 1,
     "Why will {y} be out of work?", "translation shipping design archive repair".split()),
    (["How did the exam go?", "Failed it by {v} points. I will try again after the summer."], 1,
     "What was the result of the test {y} took?", "two three four five".split()),
    (["Did your sister have the baby?", "A girl, and they named her after our {v}."], 1,
     "After whom was the niece of {y} called?", "grandmother teacher aunt godmother".split()),
    (["What happened to your arm?", "Fell off a {v} while cleaning the gutter."], 1,
     "How did {y} get injured?", "ladder balcony shed wall".split()),
    (["Any plans for the holidays?", "Hiking in {v}, if my boots survive that long."], 1,
     "Where is {y} going on vacation?", "Norway Corsica Wales Slovenia Crete Scotland".split()),
    (["Is that a new dog?", "From the shelter, called {v}. Afraid of everything, even of cats."], 1,
     "What is the name of the pet {y} adopted?", "Biscuit Comet Pepper Walnut Domino".split()),
    (["You do not drink coffee any more?", "My doctor forbade it because of my {v}."], 1,
     "For which medical reason did {y} give up a beverage?", "heart stomach sleep blood pressure".split()),
    (["What are you reading?", "A history of {v}, nine hundred pages. I am on page forty."], 1,
     "What is the subject of the book {y} has begun?", "salt navigation paper opera bridges".split()),
    (["Did you sell the car?", "To my cousin, for {v} hundred. It was worth twice that."], 1,
     "How much did {y} get for the vehicle?", "eight nine twelve fifteen".split()),
    (["Why were you at the police?", "Somebody stole my {v} out of the hallway."], 1,
     "What was taken from {y}?", "bicycle pram skis umbrella suitcase".split()),
    (["What will you cook for the party?", "My mother's {v}, for thirty people. Wish me luck."], 1,
     "Which dish is {y} preparing for the guests?", "goulash paella borscht lasagne curry".split()),
    (["Are you two still together?", "We split up in {v}. It is better this way, really."], 1,
     "When did the relationship of {y} end?", _MONTHS),
    (["Your garden looks different.", "I tore out the hedge and put in {v} instead."], 1,
     "What grows at {y}'s place where there used to be a hedge?", "roses lavender beans currants".split()),
    (["Which language is that on your screen?", "I am learning {v} for my wife's family."], 1,
     "Which tongue does {y} study and why?", "Finnish Turkish Welsh Polish Greek Korean".split()),
    (["Did they accept your story?", "A magazine in {v} will print it next year!"], 1,
     "Where will the text of {y} be published?", "Dublin Vienna Boston Leeds Prague".split()),
    (["I heard the choir has a new leader.", "Yes, me. I could not say no to {v}."], 1,
     "Who persuaded {y} to conduct the singers?", "Agnes Boris Clara Dmitri".split()),
    (["How is your father after the operation?", "Walking again, with a stick made of {v}."], 1,
     "What supports the father of {y} when he walks?", "ash bamboo cherry hazel".split()),
    (["What did you wish for as a child?", "To be a {v}. Then I saw how early they get up."], 1,
     "Which profession did {y} dream of when young?", "baker pilot farmer diver postman".split()),
]  # fmt: skip
_SMALL = [
    ["Rain again.", "All week, they say.", "I should have bought that coat."],
    ["Did you see the match?", "Only the end of it.", "You missed nothing."],
    ["The bus was late again today.", "Mine too, twenty minutes.", "They should just give up on timetables."],
    ["I slept badly.", "The moon?", "The neighbours."],
    ["My phone is dying.", "The battery?", "Everything about it."],
    ["Lunch on Friday?", "Friday is bad, what about Monday?", "Monday is fine."],
    ["I finally cleaned the kitchen.", "I will believe it when I see it.", "Fair."],
    ["That film was too long.", "I liked the music, though.", "The music was fine."],
    ["Prices are mad these days.", "I know, even bread.", "Especially bread."],
    ["Have you got a minute?", "Always.", "Never mind, I found it."],
    ["The lift is broken.", "Again?", "Fourth floor, with groceries."],
    ["What a sunset yesterday!", "I was in a meeting.", "Of course you were."],
]


def pairs(draw: random.Random, count: int) -> list[tuple[str, str]]:
    """Who talks to whom; nobody has two talks."""
    some = draw.sample(NAMES, 2 * count)
    return list(zip(some[::2], some[1::2], strict=True))


def conversation(
    draw: random.Random, one: str, other: str, half: int
) -> tuple[str, list[tuple[str, tuple[int, int]]]]:
    """A talk of some 300 turns: (text, [(question, (start, end) of the turn that answers it)])."""
    kinds = [each for number, each in enumerate(EXCHANGES) if number % 2 == half]
    told = [(each, who) for each in kinds for who in ((one, other), (other, one)) if draw.random() < 0.8]
    draw.shuffle(told)
    text, questions, day = "", [], 1
    while told:
        month = _MONTHS[min(11, day // 30)]
        text += f"\n## {day % 30 + 1} {month}\n\n"
        for _ in range(draw.randint(4, 8)):
            if told and draw.random() < 0.25:
                (turns, evidence, asked, values), (x, y) = told.pop()
                value = draw.choice(values)
                for number, turn in enumerate(turns):
                    line = f"{(x, y)[number % 2]}: {turn.format(v=value)}"
                    if number == evidence:
                        questions.append((asked.format(x=x, y=y), (len(text), len(text) + len(line))))
                    text += line + "\n"
            else:
                speakers = draw.sample([one, other], 2)
                for number, turn in enumerate(draw.choice(_SMALL)):
                    text += f"{speakers[number % 2]}: {turn}\n"
        day += draw.randint(1, 12)
    return text, questions
