"""Trees with small leaves, for what every commit adds to.

A commit writes the leaf anew, and a common one of thirty or sixty entries would be most of what a small
commit writes.  The price is more leaves: an entry costs some forty bytes more in the long run, and a walk
over all of them takes longer.
"""

from __future__ import annotations

from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree


class ByMoment(LOBTree):
    """Entries come in the order of their keys: a full leaf is left half full for ever."""

    max_leaf_size = 12
    max_internal_size = 24


class ByKey(OOBTree):
    """Texts in any order -> small values that stand in the leaf itself."""

    max_leaf_size = 6
    max_internal_size = 24
