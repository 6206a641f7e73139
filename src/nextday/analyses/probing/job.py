"""The job of a worker: probe the networks of one ticker and fold."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nextday.analyses.probing.measures import alike, explained, shuffle_blocks
from nextday.engine.plan import Job
from nextday.models.networks.base import Network
from nextday.models.ridge import fit_ridge
from nextday.samples import Split, Windows

SOURCES = ("trained", "untrained", "shuffled", "window")
BLOCK = 3  # lookbacks that stay together where features are shuffled: what rolls over one is persistent for longer
States = list[np.ndarray]  # of train, valid and test, [sample, width] each


@dataclass(frozen=True, slots=True)
class Subject:
    """A finished network: the job that trained it, and its weights."""

    variant: str
    job: Job
    weights: dict[str, np.ndarray]

    @property
    def parts(self) -> tuple[Windows, Windows, Windows]:
        """Its inputs: the windows of the training, validation and test sets."""
        return self.job.train.windows, self.job.valid.windows, self.job.test

    def states(self, *, trained: bool) -> list[States]:
        """Return the states of each layer, after or before training."""
        import torch

        from nextday.models.networks import training

        assert isinstance(self.job.model, Network)
        network = self.job.model.assemble(len(self.job.test.names))
        if trained:
            network.load_state_dict({name: torch.tensor(value) for name, value in self.weights.items()})
        else:
            training.initialise(network, self.job.key)
        by_part = [training.states(network, windows) for windows in self.parts]
        return [list(layer) for layer in zip(*by_part, strict=True)]


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """All networks of one ticker and fold, and the features to probe.

    Attributes
    ----------
    subjects
        The networks; those of a variant are consecutive and read the same windows.
    targets
        Feature values at the origins, unscaled, shape [sample, feature].
    split
        Positions of the training, validation and test sets.
    """

    subjects: tuple[Subject, ...]
    targets: np.ndarray
    split: Split

    def run(self) -> dict[str, np.ndarray]:
        """Probe every layer of every network and its controls, and compare the last layers with one another.

        A network's states are dropped before the next one's are computed, except those of the last layer on the test
        set.

        Returns
        -------
        rows
            For each probe, shape [probe, 4]: subject (for the window, the first of the variant), layer (from 1; 0 is
            the window), source as a position in ``SOURCES``, feature.
        r2
            R2 on the test set, shape [probe].
        ends, days
            Positions of the probes of last layers and windows, and the contributions of test days to their R2, float32,
            shapes [end] and [end, day].
        cka
            CKA of trained and of untrained networks, for each pair of subjects, shape [2, pair].
        """
        rows, r2, ends, days = [], [], [], []
        last: dict[str, States] = {"trained": [], "untrained": []}
        for at, layer, source, is_end, states in self._sources():
            if is_end and source in last:
                last[source].append(states[2])
            scores, parts = self._probe(states, at if source == "shuffled" else None)
            for feature in np.flatnonzero(np.isfinite(scores)):
                rows.append((at, layer, SOURCES.index(source), feature))
                r2.append(scores[feature])
                if is_end:
                    ends.append(len(rows) - 1)
                    days.append(parts[:, feature])
        pairs = list(combinations(range(len(self.subjects)), 2))
        cka = [[alike(states[i], states[j]) for i, j in pairs] for states in last.values()]
        return {
            "rows": np.array(rows, np.int64).reshape(-1, 4), "r2": np.array(r2), "ends": np.array(ends, np.int64),
            "days": np.array(days, np.float32).reshape(len(ends), -1), "cka": np.array(cka).reshape(2, -1),
        }  # fmt: skip

    def _sources(self) -> Iterator[tuple[int, int, str, bool, States]]:
        """Return subject, layer, source, whether it is a last layer or a window, and states."""
        for at, subject in enumerate(self.subjects):
            if at == 0 or subject.variant != self.subjects[at - 1].variant:
                yield at, 0, "window", True, [windows.x.reshape(len(windows), -1) for windows in subject.parts]
            for source in ("trained", "untrained"):
                layers = subject.states(trained=source == "trained")
                for layer, states in enumerate(layers, start=1):
                    yield at, layer, source, layer == len(layers), states
                    if source == "trained":
                        yield at, layer, "shuffled", layer == len(layers), states

    def _probe(self, states: States, shuffled: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Fit on train, choose by valid, score on test; with a subject, features are shuffled on train and valid.

        Shuffled on train alone, they would not be a control: of chance relations valid would choose those that hold.
        """
        train, valid, test = (self.targets[part] for part in (self.split.train, self.split.valid, self.split.test))
        if shuffled is not None:
            key, block = self.subjects[shuffled].job.key, BLOCK * self.subjects[shuffled].job.test.lookback
            train = train[shuffle_blocks(len(train), block, key.stream("probes train"))]
            valid = valid[shuffle_blocks(len(valid), block, key.stream("probes valid"))]
        readout = fit_ridge(states[0], train, states[1], valid)
        return explained(test, readout.predict(states[2]), readout.offset)
