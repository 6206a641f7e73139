"""Jobs for nodes of a cluster, which import this file: what they do there can be seen from here."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Look:
    """Tell what a job sees: its process, the environment that this began with, threads, and whether arrays are its own."""

    rows: np.ndarray

    def run(self):
        import torch

        began = dict(line.split("=", 1) for line in Path("/proc/self/environ").read_text().split("\0") if "=" in line)
        tiny = (torch.tensor([1e-39]) * 1.0).item()
        return os.getpid(), began, dict(os.environ), torch.get_num_threads(), tiny, self.rows.flags.writeable


@dataclass(frozen=True)
class Linger:
    """Leave a file with the number of this process, wait until another is there, and give the process's number."""

    mark: Path
    until: Path

    def run(self):
        self.mark.write_text(str(os.getpid()))
        while not self.until.exists():
            time.sleep(0.05)
        return os.getpid()


class Die:
    """Take the process along."""

    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Fail:
    """Raise an error."""

    def run(self):
        raise ArithmeticError("first")
