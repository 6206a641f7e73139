"""Progress of a run: a bar with the time left on a terminal and in a notebook, a line now and then elsewhere."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps a stream of finished outcomes, each with a name ``unit``, given their number; yields the same outcomes."""

EVERY = (5.0, 0.05, 60.0)  # seconds between lines: at least, as a share of the time so far, at most
REFRESH = 0.5  # seconds between updates of a notebook's bar
ENOUGH = 5.0  # seconds of fitting that show a pace
EPOCH = 1.0  # seconds between the epochs that a unit reports
STOPPED = "stopped; finished units are reused when you run the study again"


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch that a network has finished.

    Attributes
    ----------
    number, most
        Its number, from 1, and the largest there can be; early stopping may end before.
    unit
        The unit in training, once it is known.
    """

    number: int
    most: int
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.unit}{': ' if self.unit else ''}epoch {self.number:,} of at most {self.most:,}"


_listeners: list[Callable[[Epoch], None]] = []


def report(epoch: Epoch) -> None:
    """Report an epoch to whoever listens in this process."""
    if _listeners:
        _listeners[-1](epoch)


@contextmanager
def listening(listener: Callable[[Epoch], None], *, every: float = 0.0) -> Iterator[None]:
    """Call ``listener`` with the epochs that are reported, at most once in ``every`` seconds."""
    last = time.monotonic()

    def take(epoch: Epoch) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= every:
            last = now
            listener(epoch)

    _listeners.append(take)
    try:
        yield
    finally:
        _listeners.remove(take)


def progress_of(watch: Watch | bool, name: str = "") -> Watch:
    """Return what shows the progress of the study ``name``: by default, not at all, or as the user wants it."""
    if isinstance(watch, bool):
        return partial(show, name=name) if watch else silent
    return watch


def silent(outcomes: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the form of a Watch
    """Display no progress."""
    return outcomes


def show(outcomes: Iterable[Any], total: int, *, name: str = "") -> Iterator[Any]:
    """Show what is done, the time left and the current unit, as the place allows.

    The bar of a terminal vanishes at the end, that of a notebook leaves its count. Where standard error is neither, a
    line appears every few seconds. While units are in training, their epochs count, too.
    """
    from rich.console import Console

    screen, pace = Console(stderr=True), Pace(total, name)
    if screen.is_jupyter:
        yield from _in_notebook(outcomes, pace)
    elif screen.is_terminal:
        yield from _on_terminal(outcomes, pace, screen)
    else:
        yield from _in_lines(outcomes, pace, screen)


@dataclass(slots=True)
class Pace:
    """What is done of a total, and the time left.

    The pace is that between fitted units: the first one also waits for its start, and reused ones take no time.
    """

    total: int
    name: str
    began: float = field(default_factory=lambda: time.monotonic())
    now: float = field(default_factory=lambda: time.monotonic())
    first: float = 0.0
    done: int = 0
    fitted: int = 0
    unit: str = "starting"
    training: Epoch | None = None

    def count(self, outcome: Any) -> None:  # noqa: ANN401 - of any kind
        """Count one more."""
        self.now, self.done, self.unit = time.monotonic(), self.done + 1, str(outcome.unit)
        self.training = None
        if not getattr(outcome, "reused", False):
            self.first, self.fitted = self.first or self.now, self.fitted + 1

    @property
    def head(self) -> str:
        """The study before a line."""
        return f"{self.name}: " if self.name else ""

    @property
    def counted(self) -> str:
        """What is done of how many."""
        return f"{self.head}{self.done:,}/{self.total:,} {'units' if self.name else 'done'}"

    @property
    def line(self) -> str:
        """What is done, the time so far and the time left."""
        known = self.fitted > 1 and self.now - self.first >= ENOUGH and self.done < self.total
        left = (self.now - self.first) / (self.fitted - 1) * (self.total - self.done) if known else 0
        time_so_far = clock((time.monotonic() if self.training else self.now) - self.began)
        ends = (f"about {clock(left)} left" if left else "", str(self.training or ""))
        return ", ".join([self.counted, time_so_far, *filter(None, ends)])


def _on_terminal(outcomes: Iterable[Any], pace: Pace, screen: "Console") -> Iterator[Any]:
    from rich import progress

    columns = (
        progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn("done, left"),
        progress.TimeRemainingColumn(), progress.TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with progress.Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(f"{pace.head}{pace.unit}", total=pace.total)
        with listening(lambda epoch: bar.update(task, description=f"{pace.head}{epoch}")):
            for outcome in outcomes:
                bar.update(task, advance=1, description=f"{pace.head}{outcome.unit}")
                yield outcome


def _in_lines(outcomes: Iterable[Any], pace: Pace, screen: "Console") -> Iterator[Any]:
    said, lock = pace.began, threading.Lock()

    def say(*, at_once: bool = False) -> None:
        nonlocal said
        now = time.monotonic()
        if at_once or now - said >= min(max(EVERY[0], EVERY[1] * (now - pace.began)), EVERY[2]):
            screen.print(pace.line, markup=False, highlight=False, soft_wrap=True)
            said = now

    def train(epoch: Epoch) -> None:
        with lock:  # each worker has a thread
            pace.training = epoch
            say()

    with listening(train):
        for outcome in outcomes:
            with lock:
                pace.count(outcome)
                say(at_once=pace.done == pace.total)
            yield outcome


def _in_notebook(outcomes: Iterable[Any], pace: Pace) -> Iterator[Any]:
    """Update one output of the cell; what remains at the end has no times, so that it is the same in every run."""
    from IPython.display import display

    shown, said = display(_Bar(pace), display_id=True), pace.began

    def say() -> None:
        nonlocal said
        if time.monotonic() - said >= REFRESH:
            shown.update(_Bar(pace))
            said = time.monotonic()

    def train(epoch: Epoch) -> None:
        pace.training = epoch
        say()

    try:
        with listening(train):
            for outcome in outcomes:
                pace.count(outcome)
                say()
                yield outcome
    finally:
        shown.update(_Bar(pace, over=True))


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar in a notebook; as text, what is done."""

    pace: Pace
    over: bool = False

    def __repr__(self) -> str:
        return self.pace.counted

    def _repr_html_(self) -> str:
        pace = self.pace
        if self.over:
            return escape(pace.counted)
        bar = f'<progress value="{pace.done}" max="{pace.total}" style="width:16em"></progress>'
        return f"{bar} {escape(pace.line)} <small>{escape(pace.unit)}</small>"


def clock(seconds: float) -> str:
    """Return a time as ``3:10``, from an hour on as ``1:03:10``.

    Examples
    --------
    >>> clock(0.4), clock(190), clock(3790)
    ('0:00', '3:10', '1:03:10')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
