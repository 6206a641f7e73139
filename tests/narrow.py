"""Calling a test as if the processor had narrower vectors; Numba takes that from its environment."""

import os
import subprocess
import sys

import pytest


def with_narrow_vectors(module, call):
    """Call a test of a module below ``tests/models`` in a process whose tiles are 8 numbers wide; fail where it does."""
    from nextday.models.kernels import tiles

    if tiles.WIDTH == 8:
        pytest.skip("vectors of this processor are as narrow; the test itself computes with them")
    code = f"import {module} as test; from nextday.models.kernels import tiles; assert tiles.WIDTH == 8\ntest.{call}"
    paths = os.pathsep.join(["tests/models/kernels", "tests/models/networks", *sys.path])
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "PYTHONPATH": paths}
    if os.uname().machine == "x86_64":
        environment |= {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=240)
