"""The living image: storage, turns and group commit, missions' own transactions, and the past."""

from __future__ import annotations

from batos.image.image import Done, LivingImage, NoGlance
from batos.image.root import Root
from batos.image.storage import AWAKE, BLOBS, DATA, exists, holder

__all__ = ["AWAKE", "BLOBS", "DATA", "Done", "LivingImage", "NoGlance", "Root", "exists", "holder"]
