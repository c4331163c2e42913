"""Proofs of the guardian: each runs what the guardian judges and counts where the two disagree.

    oracle      the dynamic oracle: what a method really changes, and what would be forgotten
    generated   methods drawn at random from a grammar of changes, aliases and exits
    corpus      the pure-Python classes of the standard library and installed packages, and their methods
    library     those classes turned Persistent, run behind the wall, against the verdicts on their methods
    ordinary    their ordinary methods under the policy: do they compile, and do they still behave
    clocks      what verdicts, rehearsals and guarded loops cost

Nothing here is imported by batos.
"""
