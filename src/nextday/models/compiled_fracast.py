"""Fracast's forecast of the next day alone, compiled: on a CPU a fraction of its package's time."""

import hashlib
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from nextday.models.kernels.dilated import WIDTH, decode, embed, encode, finish
from nextday.models.kernels.tiles import aligned

Array = np.ndarray
LAYOUT = "3fce504099124f01"  # of the names and shapes of the weights of fracast 0.1
CLOSE = 1e-5  # as a share of a context's span; what differs by rounding differs by 4e-7


class CompiledFracast:
    """Quantiles of the next day from contexts as ``FracastModel.forecast_batch`` takes them.

    All 2048 days enter a forecast through the mean of their states, so no layer can be cut down to the days that the
    last one depends on. But the days before a context begins have the same states in all contexts with the same periods
    (most returns have none), and are computed once. Of the 48 days ahead only the first is computed.

    Parameters
    ----------
    model
        A loaded ``fracast.FracastModel``.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - the package has no types
        self.core, self.head, self.days = model.core, model.head, model.context_length
        with torch.inference_mode():
            films = self.core.scale.gamma_beta(self.core.dilations()).numpy()
        gains, self.shifts = 1 + films[:, :WIDTH], films[:, WIDTH:]  # of the inputs of each layer
        self.block, gain = _block(self.core.block)
        self.first = gains[0], self.shifts[0]
        self.gains = np.vstack([gain * gains[1:], gain])  # those of the next layer pass through the last norm
        self.shifts = np.vstack([self.shifts[1:], np.zeros(WIDTH, np.float32)])
        self.room = 1 << len(gains)
        weights = _numpy(self.core.in_proj.weight) * gains[0][:, None]
        self.value, self.cover = weights[:, 0].copy(), weights[:, 1].copy()
        self.future, self.future_gain = _block(self.head.future_conv.block)
        self.tail = (2 << self.head.future_conv.n_layers) - 2  # days that the first day ahead depends on
        self.unseen = lru_cache(maxsize=4)(self._unseen)  # 7 MB each

    def __call__(self, contexts: Array) -> Array:
        """Forecast quantiles, [context, level], from contexts [context, day]."""
        from fracast._core.periodic.seasonal_fill import detect_periods

        contexts = np.ascontiguousarray(contexts)
        seen = np.isfinite(contexts)
        known = np.where(seen, contexts, np.nan)
        low = np.nanmin(known, axis=1, keepdims=True).astype(np.float64)
        span = np.maximum(np.nanmax(known, axis=1, keepdims=True) - low, 1e-5)
        before = ((0, 0), (self.days - contexts.shape[1], 0))
        values = np.pad(np.where(seen, (contexts - low) / span, 0).astype(np.float32), before)
        seen = np.pad(seen, before)
        with torch.inference_mode():
            found = detect_periods(torch.from_numpy(values), torch.from_numpy(seen), **self.head.period_kw)
            rows = list(zip(values, seen, map(tuple, found.tolist()), strict=True))
            means, tails = zip(*(self._encode(*row) for row in rows), strict=True)
            return self._decode(means, tails, [self._fill(*row) for row in rows]) * span + low

    def _encode(self, values: Array, seen: Array, periods: tuple[int, ...]) -> tuple[Array, Array]:
        """Return the mean of the states of all days, and the last states."""
        start = int(seen.argmax())
        inputs, layers, states, sums = self.unseen(periods)
        total = sums[start].copy()
        found = self._states(inputs[start:], values[start:], seen[start:], layers, start, total)
        tail = np.concatenate([states[:start][-self.tail :], found[-self.tail :]])
        return total / self.days, tail[-self.tail :]

    def _unseen(self, periods: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
        """Return inputs, inputs of each layer, states, and the sums of states before each day, if nothing is seen."""
        inputs, none = self._inputs(periods), np.zeros(self.days, np.float32)
        layers = np.empty((len(self.gains), inputs.size), np.float32)
        states = self._states(inputs, none, none > 0, layers, 0, np.zeros(WIDTH), keep=True)
        return inputs, layers, states, np.pad(states.cumsum(0, np.float64), ((1, 0), (0, 0)))

    def _states(
        self, inputs: Array, values: Array, seen: Array, layers: Array, start: int, total: Array, *, keep: bool = False
    ) -> Array:
        """Return the states of the days from ``start`` on, and add them up in ``total``."""
        x = embed(inputs, values, seen, self.cover, self.value, self.room)
        encode(x, self.block, self.gains, self.shifts, layers, start, keep)
        return finish(x, self.room, _numpy(self.core.norm.weight), total)

    def _inputs(self, periods: tuple[int, ...]) -> Array:
        """Return the inputs of the first layer if nothing is seen: where a day is, and its phase in each period."""
        day, known = np.arange(self.days, dtype=np.float32), np.greater(periods, 0).astype(np.float64)
        angles = np.float32(2 * math.pi) * day[:, None] / np.maximum(periods, 1).astype(np.float32)  # as rounded there
        waves = np.stack([np.sin(angles) * known, np.cos(angles) * known], axis=2).reshape(self.days, -1)
        place, phase = self.core.in_proj, self.core.periodic.proj
        found = _recency(day, self.days) @ _numpy(place.weight)[:, 2:].T + _numpy(place.bias)
        found += waves @ _numpy(phase.weight).T + _numpy(phase.bias)
        return (found * self.first[0] + self.first[1]).astype(np.float32)

    def _fill(self, values: Array, seen: Array, periods: tuple[int, ...]) -> np.floating:
        """Return the mean of the seen days with the phase of the day ahead; of all if there is none."""
        period = np.float32(max(periods[0], 1))
        phase = np.arange(self.days + 1, dtype=np.float32) % period / period * np.float32(self.head.phase_bins)
        alike = seen & (phase[:-1].astype(int) == int(phase[-1]))
        return values[alike if alike.any() else seen].mean()

    def _decode(self, means: tuple[Array, ...], tails: tuple[Array, ...], fills: list[np.floating]) -> Array:
        """Return scaled quantiles of the first day ahead."""
        head, future = self.head, self.head.future_conv
        ahead = np.repeat(_recency(np.array([self.days]), self.days), len(fills), axis=0)
        x = head.summary_proj(_tensor(np.hstack([ahead, means, [tail[-1] for tail in tails]]))) + head.queries[0]
        for network, norm in zip(head.decoder_ffns, head.decoder_norms, strict=True):
            x = norm(x + network(x))
        for block in head.fc_blocks:  # whose earlier taps lie before the first day ahead, on zeros
            x = block.norm(x + x * block.dw_weight[:, 0, -1] + block.dw_bias)
        days = future.in_proj(_tensor(np.column_stack([fills, ahead]))).numpy()
        ends = [
            decode(np.vstack([tail, day]), self.future, self.future_gain, future.n_layers)
            for tail, day in zip(tails, days, strict=True)
        ]
        return head.out_proj(x + future.out_proj(_tensor(np.stack(ends)))).numpy()


def compile_fracast(model: Any) -> CompiledFracast | None:  # noqa: ANN401
    """Compile a model; None if its weights are laid out in an unknown way, or its package forecasts otherwise."""
    weights = {**model.core.state_dict(prefix="core."), **model.head.state_dict(prefix="head.")}
    layout = sorted((name, tuple(value.shape)) for name, value in weights.items())
    if hashlib.sha256(str(layout).encode()).hexdigest()[:16] != LAYOUT:
        return None
    compiled, contexts = CompiledFracast(model), _trial(model.context_length)
    expected = model.forecast_batch(contexts, horizon=1)[:, 0]
    span = np.nanmax(contexts, axis=1) - np.nanmin(contexts, axis=1)
    return compiled if (np.abs(compiled(contexts) - expected) <= CLOSE * span[:, None]).all() else None


def _trial(days: int) -> Array:
    """Make contexts of all kinds: noise; two cycles, with days missing inside; fewer days with a cycle; eight days."""
    found, day = np.random.default_rng(0).standard_t(4, (4, days)), np.arange(days)
    found[1] += 2 * np.sin(2 * math.pi * day / 5) + np.sin(2 * math.pi * day / 21)
    found[2] += 2 * np.sin(2 * math.pi * day / 5)
    found[1, days - 700 : days - 650] = found[2, : days - 300] = found[3, : days - 8] = np.nan
    return found.astype(np.float32)


def _recency(day: Array, days: int) -> Array:
    """Return five functions of the distance from the last of ``days``, [day, function]."""
    ahead = (day.astype(np.float64) - (days - 1)) / days
    far = np.abs(ahead)
    return np.stack([ahead, np.sign(ahead) * np.log2(1 + far), *(np.exp(-rate * far) for rate in (0.5, 2, 8))], axis=1)


def _block(block: Any) -> tuple[tuple[Array, ...], Array]:  # noqa: ANN401
    """Return a block's weights as ``dilated.BLOCK`` and the gain of its last norm."""

    def matrix(layer: torch.nn.Linear) -> Array:
        return aligned(_numpy(layer.weight).T)  # a fifth faster than where it happens to lie

    mix, up, down = block.pw, block.ffn.up, block.ffn.down
    bias = _numpy(mix.weight) @ _numpy(block.dw_bias) + _numpy(mix.bias)  # that of the convolution passes through mix
    taps, gain = _numpy(block.dw_weight)[:, 0].T.ravel(), _numpy(block.norm1.weight)
    weights = (taps, matrix(mix), bias, gain, matrix(up), _numpy(up.bias), matrix(down), _numpy(down.bias))
    return weights, _numpy(block.norm2.weight)


def _numpy(parameter: torch.Tensor) -> Array:
    return parameter.detach().numpy()


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
