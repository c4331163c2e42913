"""FAILED: the thought is erased.  Entry: any state that gave up, or an error.  Final: the transaction is doomed.

Nothing persistent happens here: what is remembered of a failure is in the journal and in the record
that a transaction of its own writes afterwards.
"""

from __future__ import annotations

from batos.objects.method import primitive
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """Doom the transaction: the image stays exactly as it was."""
    return self.doom_()
'''


@primitive
def doom_(self):
    """Make a commit of this mission impossible."""
    tools().doom()
    return "doomed"
