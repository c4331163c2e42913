"""One lock for the packages that take seconds to import.

`transformers` fills its modules lazily and is not safe to import from two threads at once: the mind
and the embedder, loading side by side, found half-made modules (AutoModelForCausalLM missing).
Whoever imports torch, transformers or what stands on them for the first time holds `importing`.
"""

from __future__ import annotations

import threading

importing = threading.RLock()
