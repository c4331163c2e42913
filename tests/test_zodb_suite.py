"""ZODB's own tests of its FileStorage, unchanged, against the storage of an image.

They run in a child, because they change the working directory and the class they ask for, and because two of
them need a user whom a file's mode stops: where the suite runs as root the child becomes nobody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# What an image does by default and these tests do not expect: a pack keeps no `.old` file here, and no process
# of its own would see what they patch into ZODB's packer.
CHILD = """
import json, os, pwd, sys, tempfile, unittest
sys.path.insert(0, sys.argv[1])
import ZODB.FileStorage
from batos.image.storage import ImageStorage

class Tested(ImageStorage):
    def __init__(self, *args, pack_keep_old=True, **more):
        super().__init__(*args, pack_keep_old=pack_keep_old, pack_apart=False, **more)

ZODB.FileStorage.FileStorage = Tested
import ZODB.config
import ZODB.FileStorage.tests
from ZODB.tests import testFileStorage

assert testFileStorage.FileStorageNoRestore.__mro__[1] is Tested
ZODB.config.getStorageSchema()  # read while everything can be read
os.chdir(sys.argv[2])
tempfile.tempdir = os.environ["TMPDIR"] = sys.argv[2]
if os.getuid() == 0:
    nobody = pwd.getpwnam("nobody")
    os.chown(sys.argv[2], nobody.pw_uid, nobody.pw_gid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
suite = unittest.TestSuite([testFileStorage.test_suite(), ZODB.FileStorage.tests.test_suite()])
result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
told = {
    "run": result.testsRun,
    "skipped": len(result.skipped),
    "failed": [str(test) for test, _ in result.failures + result.errors],
}
print(json.dumps(told))
"""


@pytest.mark.slow
def test_zodb_s_own_tests_of_a_file_storage_pass_unchanged():
    pytest.importorskip("zope.testing", reason="ZODB's tests need the package zope.testing")
    import tempfile

    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="batos-zodb-") as directory:
        os.chmod(directory, 0o755)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(REPOSITORY), directory],
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert child.stdout.strip(), child.stderr[-3000:]
    told = json.loads(child.stdout.splitlines()[-1])
    assert told["failed"] == [], child.stderr[-3000:]
    assert told["run"] - told["skipped"] >= 470
    print(f"{told['run']} of ZODB's tests ran, {told['skipped']} of them skipped")
