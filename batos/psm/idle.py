"""IDLE: a mission is opened.  Entry: a miss with a brief.  Exit: opened.

The scratch area `_tmp_synthesis_data` begins here; it lives in the mission's cycle, which nothing in
the image reaches, and is gone with it, after COMPLETE as after FAILED.
"""

from __future__ import annotations

import time

from batos.objects import Dict
from batos.objects.method import primitive
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """Open the scratch area and keep the brief."""
    return self.open_()
'''


@primitive
def open_(self):
    """Begin the scratch area of this cycle; reports `opened`."""
    mission = tools().mission
    self._tmp_synthesis_data = Dict(start_time=time.time(), original_query=mission.miss.selector)
    return "opened"
