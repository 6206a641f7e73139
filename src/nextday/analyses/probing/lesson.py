"""The lesson of probes: whether a network on raw returns encodes a feature that is not among its inputs."""

import polars as pl

from nextday.analyses.probing.assess import CONTROLS, NAMES, VERDICTS, assess_probes, conclude, written
from nextday.evaluate.seeds import MIN_SEEDS
from nextday.evaluate.wording import NO, UNKNOWN, WITHHELD, YES, Lesson, join
from nextday.words import plural

ROOM, FEATURE = "probing", "roll_vol"
QUESTION = f"Did the raw network rediscover {FEATURE}?"
ANSWERS = dict(zip(VERDICTS, (YES, NO, UNKNOWN), strict=True))


def rediscovery(probes: pl.DataFrame, days: pl.DataFrame, *, alpha: float = 0.05) -> Lesson | None:
    """Answer whether the last state of ``LSTM-Raw`` encodes rolling volatility beyond its controls.

    The answer follows from ``assess_probes`` by the rule of ``conclude``, as in the report; the figure is the gain over
    the decisive or closest control. With fewer than three seeds the answer is withheld.

    Parameters
    ----------
    probes, days
        The tables ``probes`` and ``probe_days``.
    alpha
        Error rate of each interval.

    Returns
    -------
    The lesson, or None if no network on raw returns was probed for the feature.
    """
    unseen = probes.filter(~pl.col("given"), pl.col("variant").str.ends_with("-Raw"), feature=FEATURE)["variant"]
    if unseen.is_empty():
        return None
    raw = min(unseen.unique(), key=lambda name: (name != "LSTM-Raw", name))
    assessed = assess_probes(*(table.filter(variant=raw, feature=FEATURE) for table in (probes, days)), alpha=alpha)
    rows = {row["source"]: row for row in assessed.iter_rows(named=True)}
    trained = rows["trained"]
    if trained["Seeds"] < MIN_SEEDS:
        why = f"{raw} was probed for {plural(trained['Seeds'], 'seed')}, at least {MIN_SEEDS} are needed"
        return Lesson(ROOM, QUESTION, WITHHELD, f"Withheld: {why}.")
    verdict, control = conclude(rows)
    said = ANSWERS[verdict]
    head = f"No, not beyond {NAMES[control]}" if said == NO else said.capitalize()
    gains = join([f"{written(rows[name], 'Gain', '+')} beyond {NAMES[name]}" for name in CONTROLS])
    text = (
        f"{head}: a linear probe of {FEATURE} on the last state of {raw} has an R2 of "
        f"{written(trained, 'R2')}, {gains}."
    )
    row, name = (rows[control], "Gain") if control in rows else (trained, "R2")
    return Lesson(ROOM, QUESTION, said, text, *(row[f"{name}{end}"] for end in ("", "_low", "_high")))
