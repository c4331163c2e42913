"""`python -m batos`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from batos import cli


def main() -> int:
    """Run one command; the exit code.

    Where threads are left, in the middle of a native library (a model that loads, a step of torch), the process
    ends here: the interpreter would unwind them through C++, which aborts.  What is to be kept is on disk by now.
    """
    code = cli.main()
    if any(each.daemon for each in threading.enumerate()):
        import logging  # there already, where threads are left; `--help` does without

        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
