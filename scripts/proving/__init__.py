"""Proofs of the guardian: each runs what the guardian judges and counts where the two disagree.

    oracle      the dynamic oracle: what a method really changes, and what would be forgotten
    grammar     methods drawn at random from a grammar of changes, aliases and exits
    generated   the analysis against the oracle on what was drawn
    broken      the analysis broken on purpose, one rule or alias at a time: the proof must notice
    corpus      the pure-Python classes of the standard library and installed packages, and their methods
    drawing     instances of these classes, and arguments for their methods
    bytecode    what a method's bytecode alone proves
    foreign     those classes turned Persistent, run behind the wall, against the verdicts on their methods
    ordinary    their ordinary methods under the policy: do they compile, and do they still behave
    clocks      what a verdict costs
    rehearsals  what a rehearsal costs with a warm zygote
    loops       what guarded loops cost
    walled      how foreign code is run: in a forked child behind the wall
    missions    missions with an exception at a random line of ours, and what they leave (`scripts/prove_missions`)
    schedules   several clients against missions that fail at any step, and what they leave
    slots       values of every kind put into slots, and a fresh process that loads them (`scripts/prove_slots`)
    telling     one table, each share with its interval

Nothing here is imported by batos.
"""
