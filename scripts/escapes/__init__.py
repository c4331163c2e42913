"""Attempts to break out of a method, and the proof that none of them does: `python -m scripts.escapes`.

    payloads    what a payload is
    families    all of them, a module for each family
    canaries    what an escape would touch: a secret file, listeners, a process, state of the parent
    policy      each payload in process under the policy, without a wall
    hostile     the zygote with the policy off: each payload as plain Python behind the wall
    trying      runs both, and the control: neither policy nor wall, where the payloads do get through

Every payload may touch the canaries and nothing else, so that one that gets through does no harm.
Nothing here is imported by batos.
"""
