"""Pool(...).map(cdsrcodec.encode, ...) after the parent has encoded, as scripts on Linux do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal
import numpy as np
import cdsrcodec

x = np.zeros((128, 128, 3), np.uint8)
data = cdsrcodec.encode(x)
child = os.fork()
if child == 0:
    signal.alarm(120)  # one that waits for ever is killed by it
    os._exit(0 if cdsrcodec.encode(x) == data else 1)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on Windows")
def test_a_fork_of_a_process_that_has_encoded_can_encode() -> None:
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    forking = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | threads, check=False, timeout=300
    )
    assert forking.returncode == 0
