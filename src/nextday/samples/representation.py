"""The same window as a model may read it: session by session, as a fixed digest, both, or as a random digest.

All are functions of one window, so that they hold the same information or less and differ in nothing but its form.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from nextday.ablation import Representation
from nextday.samples.scale import fit_scaler
from nextday.samples.windows import Breaks, Windows

SPANS = (1, 5, 20, 60)  # sessions: a day, a week, a month, a quarter
SPREAD = 20  # sessions from which on a digest has a standard deviation too


def represent(
    parts: Sequence[Windows], representation: Representation, *, scaled: bool, seed: int = 0
) -> list[Windows]:  # fmt: skip
    """Represent the windows of the training, validation and test set.

    Parameters
    ----------
    parts
        Windows, those of the training set first.
    representation
        ``lags`` are the windows as they are. ``digest`` is a window of one row with the means of each feature over the
        last 1, 5, 20 and 60 sessions, as far as the window reaches and over all of it, and its standard deviations over
        20 sessions and more: a heterogeneous autoregression's view (Corsi 2009, "A simple approximate long-memory model
        of realized volatility", Journal of Financial Econometrics 7). ``both`` has all lags, and the digest in the last
        row, where other rows are zero. ``random`` has as many columns as the digest, each a projection of one feature
        on a random direction, so that a gain of the digest is not mistaken for one of fewer inputs.
    scaled
        Whether each column is standardised by the training windows.
    seed
        Of the random directions.

    Returns
    -------
    The windows of each part, of as many samples.
    """

    def view(of: Callable[[Windows], Windows]) -> list[Windows]:
        made = [of(one) for one in parts]
        if not scaled:
            return made
        scaler = fit_scaler(made[0])
        return [scaler.apply(one) for one in made]

    if representation == "both":
        return [beside(lags, last) for lags, last in zip(view(lambda one: one), view(digest), strict=True)]
    forms: dict[str, Callable[[Windows], Windows]] = {
        "lags": lambda one: one, "digest": digest, "random": partial(project, seed=seed),
    }  # fmt: skip
    return view(forms[representation])


def digest(windows: Windows) -> Windows:
    """Return one row for each window: means over spans of its last sessions, and standard deviations.

    Examples
    --------
    >>> digest(Windows(np.arange(6.0)[:, None], 5, ("x",))).names
    ('x mean 1', 'x mean 5')
    """
    x, (spans, wide) = windows.x.astype(np.float64), _spans(windows.lookback)
    columns = [x[:, -span:].mean(axis=1) for span in spans] + [x[:, -span:].std(axis=1) for span in wide]
    heads = [f"mean {span}" for span in spans] + [f"deviation {span}" for span in wide]
    return _rows(columns, heads, windows)


def project(windows: Windows, seed: int) -> Windows:
    """Return one row for each window: each feature on as many random directions as its digest has columns."""
    x, count = windows.x.astype(np.float64), sum(map(len, _spans(windows.lookback)))
    directions = np.random.default_rng(seed).standard_normal((count, *x.shape[1:]))
    directions /= np.sqrt((directions**2).sum(axis=1, keepdims=True))
    columns = [np.einsum("slf,lf->sf", x, one) for one in directions]
    return _rows(columns, [f"projection {at}" for at in range(1, count + 1)], windows)


def beside(lags: Windows, last: Windows) -> Windows:
    """Join windows and what is known of each at its end, which other rows have zeros for; windows share no row."""
    count, length, width = len(lags), lags.lookback, len(lags.names)
    x = np.zeros((count, length, width + len(last.names)), lags.rows.dtype)
    x[:, :, :width], x[:, -1, width:] = lags.x, last.rows
    breaks = Breaks(np.arange(count) * length, np.zeros(count * length, bool))
    return Windows(x.reshape(count * length, -1), length, lags.names + last.names, breaks)


def _spans(lookback: int) -> tuple[list[int], list[int]]:
    """Return the spans of means and of deviations that a window of this length holds, its whole length among them."""
    spans = sorted({span for span in SPANS if span < lookback} | {lookback})
    return spans, [span for span in spans if span >= SPREAD]


def _rows(columns: Sequence[np.ndarray], heads: Sequence[str], windows: Windows) -> Windows:
    """Make windows of one row of columns, [sample, feature] each."""
    names = tuple(f"{name} {head}" for head in heads for name in windows.names)
    return Windows(np.concatenate(columns, axis=1).astype(windows.rows.dtype), 1, names)
