"""A study: everything that decides a result, read from YAML into frozen, checked values."""

import os
import re
from collections.abc import Hashable, Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from nextday.ablation import Ablation, Representation, with_runs
from nextday.errors import StudyError
from nextday.mistakes import first_mistake
from nextday.names import known
from nextday.presets import LAST, PRESETS, presets
from nextday.questions import BENCHMARKS, parse_question
from nextday.settings import BarsSettings, Settings, expand_ranges, split_at_commas

MOVED = resources.files("nextday") / "moved_keys.yaml"
WORDS = ("sample", "yahoo")  # as data: no paths
PLANTED = "-planted"  # ends the name of a folder of planted signals, which is no study's
SCHEMES = ("holdout", "walk_forward", "rolling", "purged")
ACROSS = ("ic", "rank_ic", "spread")  # losses of the cross-section
LEAST_NAMES = 10  # tickers of a day, below which nothing is scored across them
LOSSES = ("squared", "absolute", "miss", "qlike", "pinball", *ACROSS)
# of fifths, or of tenths and other parts; before costs, or after
SPREAD = re.compile(r"spread(?:/(?P<parts>[2-9]|[1-9]\d+))?(?:@(?P<cost>\d+(?:\.\d+)?)bp)?")
Kind = Literal["models", "networks", "pretrained"]
Target = Literal["return", "excess", "rank", "log_range", "abs_return"]
TARGETS: dict[Target, str] = {
    "return": "the next day's log return",
    "excess": "the next day's log return less the mean of all tickers",
    "rank": "the rank of the next day's log return among all tickers, from -0.5 to 0.5",
    "log_range": "the next day's log range, ln(high / low)",
    "abs_return": "the absolute value of the next day's log return",
}
COMPARED = ("excess", "rank")  # targets that compare the tickers of a day
SIZES = ("log_range", "abs_return")  # targets that are never negative
OF_SIZES = ("squared", "absolute", "qlike")  # losses of such targets
MEAN = "historical_mean"  # the model that these are measured against unless a study says otherwise


class SplitSettings(Settings):
    """How the calendar is cut; shares of the samples of a ticker, in time order.

    ``holdout`` trains on the first 70 %, stops by the next 10 %, tests on the rest. ``walk_forward`` cuts what follows
    the first 40 and 10 % into ``folds`` test ranges; before each, everything is fitted again on all that came before.
    ``rolling`` does so on a training range of constant length, ``purged`` leaves ``gap`` samples out between the parts.
    A plugin may bring schemes of its own.
    """

    scheme: str = "holdout"  # one of holdout, walk_forward, rolling, purged, or of a plugin
    # share of the samples that trains the first fold
    train: float = Field(default_factory=lambda given: 0.7 if given.get("scheme") == "holdout" else 0.4, gt=0, lt=1)
    valid: float = Field(0.1, gt=0, lt=1)  # share that follows, to stop training by
    # number of test ranges
    folds: int = Field(default_factory=lambda given: 1 if given.get("scheme") == "holdout" else 5, ge=1)
    gap: int = Field(0, ge=0)  # samples left out between training and validation, and before the test range
    # training samples that a ticker needs for a fold, with ``balance: each``; 250, or 2 where all models are pooled
    history: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _leaves_a_test_range(self) -> Self:
        if self.train + self.valid >= 1:
            raise ValueError(
                f"train {self.train} + valid {self.valid} leave nothing for the test set; they must sum to less than 1"
            )
        if self.scheme == "holdout" and self.folds != 1:
            raise ValueError(f"holdout has one fold, got {self.folds}; set scheme to walk_forward")
        if self.gap and self.scheme in SCHEMES[:3]:
            raise ValueError(f"{self.scheme} leaves no gap; set scheme to purged")
        if self.scheme == "purged" and not self.gap:
            raise ValueError("purged needs gap, the number of samples to leave out between the parts")
        return self


class Training(Settings):
    """How every network of a study is trained; the same for all variants."""

    max_epochs: int = Field(100, ge=1)  # most passes over the training samples
    patience: int = Field(10, ge=1)  # epochs without a better validation loss until training stops
    batch_size: int = Field(64, ge=1)  # samples per step
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)  # of Adam
    clip: float = Field(1.0, gt=0, allow_inf_nan=False)  # largest norm of a gradient
    precision: Literal["float32", "bf16"] = "float32"  # of the operands of LSTM matrix products, on a CPU


class Question(Settings):
    """A contrast that the study asks, ``A - B``, where B may be ``zero``; with a margin of its own if need be."""

    contrast: str  # ``A - B``, of variants; B may be ``zero``, the benchmark; or ``(A - B) - (C - D)``
    margin: float | None = Field(None, gt=0, allow_inf_nan=False)  # its own; that of the verdict unless given

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"contrast": value} if isinstance(value, str) else value


class VerdictSettings(Settings):
    """How variants are compared, fixed before the run: contrasts, loss, benchmark, margin of equivalence, error rate.

    ``scale`` says what squared errors are divided by: the variance of the ticker's training window, or the variance
    that was predicted for the day (an EWMA known at the origin), which makes calm days count as much as wild ones.
    """

    ask: tuple[Question, ...] = ()  # answered first; unless given, every pair that differs in its inputs alone
    # squared, absolute, miss, pinball; qlike of log ranges and absolute returns; across tickers ic, rank_ic, spread
    # (spread/10 of tenths, spread@10bp after costs); or of a plugin
    loss: str = "squared"
    scale: Literal["training", "predicted"] = "training"  # the variance that squared errors are divided by
    # the variant that skill is measured against; the zero forecast unless given, and for log ranges and absolute
    # returns the historical mean
    benchmark: str = ""
    margin: float | None = Field(None, gt=0, allow_inf_nan=False)  # smaller differences do not matter; 0.0025 is 0.25 %
    alpha: float = Field(0.05, gt=0, lt=0.5)  # error rate of each family of intervals

    @field_validator("ask", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str | dict) else value

    @model_validator(mode="after")
    def _scale_fits(self) -> Self:
        if self.scale == "predicted" and self.loss != "squared":
            raise ValueError(f"scale predicted divides squared errors; loss is {self.loss}")
        return self


class Variant(Settings):
    """A named pair of model and feature set; ``options`` are the model's own settings."""

    model: str  # a model of ``nextday list``, or of a plugin
    features: str  # a feature set of ``nextday list``, one of its groups as ``alpha158:volume``, or your own
    options: dict[str, Any] = {}  # settings of the model
    # what the model reads of the window: lags, its rows; digest, means and deviations of them; both; or a random digest
    representation: Representation = "lags"
    lookback: int = Field(0, ge=0)  # sessions that it sees, at most those of the study, which 0 stands for


class Conformal(Settings):
    """Calibrated quantiles of the variant ``of``: once on the validation set, or updated on every test day."""

    of: str  # the variant to calibrate
    method: Literal["split", "adaptive"]  # once on the validation set, or day by day on the test set too


class Across(Settings):
    """A question that takes the forecasts of other studies too, answered where all studies are compared.

    ``of`` picks models of this study, ``among`` those of the studies ``against``: all ``models``, the ``networks`` that
    were trained here, or the ``pretrained``. It asks whether the best of the first ``leads`` the best of the second, or
    ``keeps_up`` with it, which is to fall short by less than the margin.
    """

    question: str = Field(min_length=1)  # as the comparison prints it
    of: Kind = "models"  # which models of this study
    asks: Literal["leads", "keeps_up"] = "leads"  # whether their best is better, or not worse by the margin
    among: Kind = "models"  # which models of the other studies
    against: tuple[str, ...] = Field(min_length=1)  # the other studies


class Study(BarsSettings):
    """One run of ``nextday``. Two equal studies on equal bars give equal forecasts.

    Examples
    --------
    >>> study = Study.load("stage2", {"seeds": "42"})
    >>> study.seeds, list(study.variants)
    ((42,), ['LSTM-Raw', 'LSTM-OHLCV', 'LSTM-Feat'])
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80
    )  # name of the study, and of its folder of results
    question: str = ""  # title of the report
    below: str = ""  # a study whose variants a contrast may name too
    baselines: str = ""  # a study of simple models to show beside these
    lessons: tuple[Across, ...] = ()  # questions that take several studies, for ``nextday run stage7``
    # what is forecast, of the next day: return, its log return; excess, that less the mean of all tickers; rank, its
    # rank among them, from -0.5 to 0.5; log_range, ln(high / low); abs_return, the size of its log return
    target: Target = "return"
    lookback: int = Field(20, ge=1)  # sessions in the input window
    warmup: int = Field(20, ge=0)  # sessions left out at the start, as the longest feature needs
    plugins: tuple[str, ...] = ()  # files or installed modules with your own models, features, losses and splits
    features_from: dict[str, Literal["bars", "catalog"]] = {}  # which is meant where a column is named like a feature
    split: SplitSettings = SplitSettings()  # how days are cut into training, validation and test
    feature_sets: dict[str, tuple[str, ...]] = {}  # your own, beside those of ``nextday list``
    roles: dict[str, Literal["raw", "rich", "engineered"]] = {}  # what each feature set is to the question
    variants: dict[str, Variant] = Field(min_length=1)  # what is compared
    ablation: Ablation | None = None  # groups of features whose effects are asked; it lays out variants of its own
    levels: tuple[float, ...] = ()  # quantile levels that probabilistic models forecast
    interval: float | None = None  # nominal coverage of the reported interval; the widest unless given
    conformal: dict[str, Conformal] = {}  # calibrated copies of variants
    analyses: dict[str, dict[str, Any]] = {}  # settings of analyses, by name; each checks its own
    seeds: tuple[int, ...] = Field((42,), min_length=1)  # seeds of networks; a verdict takes three or more
    training: Training = Training()  # how networks are trained
    verdict: VerdictSettings = VerdictSettings()  # what is asked, and how it is judged

    @model_validator(mode="before")
    @classmethod
    def _lays_out_its_ablation(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        given = isinstance(values, Mapping) and values.get("ablation") is not None
        return with_runs(values) if given else values

    @model_validator(mode="before")
    @classmethod
    def _measures_sizes_against_their_mean(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        return _with_mean(values) if isinstance(values, Mapping) and values.get("target") in SIZES else values

    @field_validator("seeds", "levels", "plugins", mode="before")
    @classmethod
    def _split_these_too(cls, value: object) -> object:
        return split_at_commas(value)

    @field_validator("seeds", mode="before")
    @classmethod
    def _from_to(cls, value: object) -> object:
        return expand_ranges(split_at_commas(value))

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for key in ("tickers", "seeds", "plugins"):
            values = getattr(self, key)
            doubled = sorted({str(value) for value in values if values.count(value) > 1})
            if doubled:
                raise ValueError(f"{key} names {', '.join(doubled)} more than once")
        names, benchmark = [*self.variants, *self.conformal], self.verdict.benchmark
        if benchmark and benchmark not in names:
            raise ValueError(f"verdict.benchmark: unknown variant {benchmark!r}; {known(benchmark, names)}")
        if "" in self.tickers:
            raise ValueError("tickers holds an empty ticker")
        if min(self.seeds) < 0:
            raise ValueError(f"seeds must not be negative, got {min(self.seeds)}")
        if max(self.seeds) >= 2**63:
            raise ValueError(f"seeds are below 2^63, got {max(self.seeds)}")
        return self

    @model_validator(mode="after")
    def _knows_what_it_names(self) -> Self:
        if self.plugins:
            return self  # they are asked when the study runs
        for key, name, names, is_known in (
            ("split.scheme", self.split.scheme, SCHEMES, self.split.scheme in SCHEMES),
            ("verdict.loss", self.verdict.loss, LOSSES, is_loss(self.verdict.loss)),
        ):
            if not is_known:
                raise ValueError(f"{key}: unknown {name!r}; {known(name, names)}, or name a file under plugins")
        return self

    @model_validator(mode="after")
    def _loss_fits_the_target(self) -> Self:
        loss, sizes = self.verdict.loss, self.target in SIZES
        if sizes and is_loss(loss) and loss not in OF_SIZES:
            raise ValueError(
                f"verdict.loss: {loss} is of returns; losses of target {self.target}: {', '.join(OF_SIZES)}"
            )
        if sizes and self.verdict.scale == "predicted":
            raise ValueError(f"verdict.scale: predicted is the variance of returns, not of target {self.target}")
        if loss == "qlike" and not sizes:
            raise ValueError(f"verdict.loss: qlike is of targets that are never negative: {', '.join(SIZES)}")
        return self

    @model_validator(mode="after")
    def _variants_have_names(self) -> Self:
        for name in [*self.variants, *self.conformal]:
            if not name.strip():
                raise ValueError("a variant has an empty name")
            if not _is_encodable(name):
                raise ValueError(f"variant {name!r}: the name cannot be written as UTF-8; choose another")
            if name in BENCHMARKS:
                raise ValueError(f"variant {name!r}: the name stands for the benchmark in a contrast; choose another")
        return self

    @model_validator(mode="after")
    def _windows_hold_the_lookbacks(self) -> Self:
        for name, variant in self.variants.items():
            if variant.lookback > self.lookback:
                raise ValueError(
                    f"variants.{name}.lookback: {variant.lookback} sessions are more than the {self.lookback} of "
                    "lookback, the window that all variants share; raise that"
                )
        return self

    @model_validator(mode="after")
    def _asks_of_its_variants(self) -> Self:
        asked = [question.contrast for question in self.verdict.ask]
        if doubled := [text for text in asked if asked.count(text) > 1]:
            raise ValueError(f"verdict.ask asks {doubled[0]!r} more than once")
        if not self.below:  # else a contrast may name a variant of the study below
            for text in asked:
                parse_question(text, [*self.variants, *self.conformal])
        return self

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        outside = [level for level in self.levels if not 0 < level < 1]
        if outside:
            raise ValueError(f"levels are strictly between 0 and 1, got {outside[0]:g}")
        if any(high <= low for low, high in pairwise(self.levels)):
            raise ValueError(f"levels must increase, got {', '.join(f'{level:g}' for level in self.levels)}")
        ends = [] if self.interval is None else [(1 - self.interval) / 2, (1 + self.interval) / 2]
        if any(all(abs(end - level) > 1e-9 for level in self.levels) for end in ends):
            raise ValueError(
                f"interval {self.interval:g} needs the levels {ends[0]:g} and {ends[1]:g}, got "
                f"{', '.join(f'{level:g}' for level in self.levels) or 'none'}"
            )
        if self.verdict.loss == "pinball" and not (self.levels and self.verdict.benchmark):
            raise ValueError("verdict.loss pinball needs levels, and a variant as verdict.benchmark")
        for name, conformal in self.conformal.items():
            if name in self.variants or conformal.of not in self.variants:
                why = f"{name!r} is a variant" if name in self.variants else f"{conformal.of!r} is no variant"
                raise ValueError(f"conformal.{name}: {why}; {known(conformal.of, self.variants, head='variants:')}")
        return self

    @property
    def compares(self) -> bool:
        """Whether the target compares the returns of a day, which then have a column of their own in the forecasts."""
        return self.target in COMPARED

    @property
    def inputs(self) -> set[str]:
        """Names of the feature sets that variants read, and of the features or sets that the study's own sets name."""
        used = {variant.features for variant in self.variants.values()}
        return used | {one for features in self.feature_sets.values() for one in features}

    @classmethod
    def load(cls, study: str | Path, changes: Mapping[str, object] | None = None) -> Self:
        """Read a preset (``stage1``, ``stage2``, ...) or a YAML file; ``changes`` are dotted keys and new values."""
        path = Path(study)
        values = _parse(text_of(study), str(study))
        if path.suffix in {".yaml", ".yml"}:
            values = _beside(values, path.parent)
        for key, value in (changes or {}).items():
            set_key(values, key, value)
        return cls.from_values(values, where=str(study))

    def written(self, folder: Path, *, bars: str = "") -> str:
        """Write the study as YAML that ``load`` reads as this study, for a file in ``folder``.

        Paths of plugins and further files are relative to it. ``bars`` says where bars came from if no ``data`` does.
        """
        values = self.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        if self.ablation is not None:  # what it lays out need not be written
            laid = with_runs({"ablation": self.ablation.model_dump()})
            for key in ("variants", "feature_sets"):
                values[key] = {name: one for name, one in values[key].items() if name not in laid[key]}
                values.pop(key) if not values[key] else None
        plugins = [os.path.relpath(name, folder) if name.endswith(".py") else name for name in self.plugins]
        values |= {"plugins": plugins} if plugins else {}
        for one in values.get("also", ()):
            one["file"] = os.path.relpath(one["file"], folder)
        values |= {"data": bars} if bars else {}
        first = {key: values[key] for key in ("name", "question") if key in values}
        head = "# Everything that decides the results; keys that are not here have their defaults.\n"
        return head + yaml.safe_dump(first | values, sort_keys=False, allow_unicode=True, width=120)

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, where: str = "study") -> Self:
        """Check plain values, as read from YAML or built in Python."""
        try:
            return cls.model_validate(_of_today(values, where))
        except ValidationError as error:
            raise StudyError(f"{where}: {first_mistake(error, cls)}") from None


def _with_mean(values: Mapping[str, Any]) -> dict[str, Any]:
    """Name the historical mean as the benchmark of a study that names none; where it is no variant, add it."""
    verdict, variants = values.get("verdict") or {}, values.get("variants") or {}
    groups = isinstance(verdict, Mapping) and isinstance(variants, Mapping)
    if not groups or verdict.get("benchmark"):
        return dict(values)  # what is no group of keys is refused later
    models = {
        name: one.get("model") if isinstance(one, Mapping) else getattr(one, "model", "")
        for name, one in variants.items()
    }
    means = [name for name, model in models.items() if model == MEAN]
    name = means[0] if means else "HistoricalMean"
    added = {} if means else {name: {"model": MEAN, "features": "raw"}}
    return {**values, "variants": {**variants, **added}, "verdict": {**verdict, "benchmark": name}}


def is_loss(name: str) -> bool:
    """Whether a loss is one of nextday's own.

    Examples
    --------
    >>> is_loss("squared"), is_loss("spread/10@5bp"), is_loss("mine")
    (True, True, False)
    """
    return name in LOSSES or is_across(name)


def is_across(name: str) -> bool:
    """Whether a loss is of the cross-section, and needs ``LEAST_NAMES`` tickers a day."""
    return name in ACROSS or SPREAD.fullmatch(name) is not None


def text_of(study: str | Path) -> str:
    """Return the YAML of a preset or a file as it is written.

    Raises
    ------
    StudyError
        If there is none of this name, or it cannot be read.
    """
    path, preset = Path(study), PRESETS / f"{study}.yaml"
    if path.suffix in {".yaml", ".yml"}:
        return _read(path)
    if preset.is_file():
        return preset.read_text("utf-8")
    if Path(f"{study}.yaml").is_file():
        raise StudyError(f"unknown study {str(study)!r}; did you mean the file {study}.yaml?")
    names = [*presets(), LAST, "all"]
    raise StudyError(f"unknown study {str(study)!r}; {known(str(study), names)}, or a file ending in .yaml")


def _is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Loader(yaml.BaseLoader):
    """Every scalar stays a string, so the tickers NO and ON do too; pydantic makes the numbers. No key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise StudyError(f"line {node.start_mark.line + 1}: {key!r} is given twice")
        return super().construct_mapping(node, deep)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise StudyError(f"study file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"study file {path} cannot be read: {error}") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise StudyError(f"{where} is not YAML: {' '.join(str(error).split())}") from None
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None
    if not isinstance(values, dict):
        raise StudyError(f"{where} must hold keys and values, such as 'name: my-study'")
    return values


def read_flow(text: str) -> Any:  # noqa: ANN401 - what YAML holds
    """Read a value as a study file does.

    Examples
    --------
    >>> read_flow("{hidden: 16, sizes: [1, NO]}")
    {'hidden': '16', 'sizes': ['1', 'NO']}

    Raises
    ------
    StudyError
        If it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise StudyError(f"{text!r} is not YAML: {' '.join(str(error).split())}") from None


def _beside(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read the paths of plugins and further files relative to the YAML file that names them, and that of bars, too.

    Bars that are found from the working directory are those, so that one file can be used in several places.
    """
    found = dict(values)
    plugins = split_at_commas(values.get("plugins"))
    if isinstance(plugins, list):
        found["plugins"] = [str(folder / name) if str(name).endswith(".py") else name for name in plugins]
    also = values.get("also")
    if isinstance(also, list | dict):
        found["also"] = [_at(one, folder) for one in ([also] if isinstance(also, dict) else also)]
    data = values.get("data")
    if isinstance(data, str) and data not in WORDS and not Path(data).exists() and (folder / data).exists():
        found["data"] = str(folder / data)
    return found


def _at(one: Any, folder: Path) -> Any:  # noqa: ANN401 - whatever a file holds; what is no group passes
    """Put a folder before the path of a further file."""
    known = isinstance(one, dict) and isinstance(one.get("file"), str) and one["file"]
    return one | {"file": str(folder / one["file"])} if known else one


def set_key(values: dict[str, Any], dotted: str, value: object) -> None:
    """Set one dotted key, making the groups on its way."""
    *groups, last = dotted.split(".")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise StudyError(f"{dotted}: {group} is a value, not a group of keys")
    values[last] = value


def _of_today(values: Mapping[str, object], where: str) -> dict[str, Any]:
    """Bring keys of older files to where they are today, as ``moved_keys.yaml`` says."""
    found = dict(values)
    for old, new in yaml.safe_load(MOVED.read_text("utf-8")).items():
        value, (group, *_) = found.pop(old, None), new.split(".")
        if value and found.get(group):
            raise StudyError(f"{where}: {old} is {new} now, and {group} is given, too; write it there")
        if value:
            found[group] = {}
            set_key(found, new, value)
    return found
