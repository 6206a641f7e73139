"""Options of bars, the same for every command that reads some."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nextday.errors import OptionError

if TYPE_CHECKING:
    from nextday.settings import BarsSettings

OPTIONS: dict[str, Any] = {
    "market": Annotated[str | None, typer.Option(help="Ticker of the market factor; none where no feature needs one.")],
    "tickers": Annotated[
        str | None, typer.Option(help="Tickers to forecast, such as AAPL,KO; default: all except the market.")
    ],
    "accept": Annotated[str | None, typer.Option(help="Tickers whose jumps are real, such as AIG,C; * for all.")],
    "balance": Annotated[
        str | None,
        typer.Option(metavar="common|each", help="each: tickers come and go; default: the sessions that all share."),
    ],
    "drop_bad": Annotated[bool, typer.Option("--drop-bad", help="Exclude tickers with bad bars.")],
    "columns": Annotated[
        str | None, typer.Option(metavar="NAME=COLUMN,...", help="Columns of the bars, such as date=day,volume=shares.")
    ],
    "adjusted": Annotated[
        bool, typer.Option("--adjusted", help="Closes are adjusted for splits and dividends already.")
    ],
    "date_format": Annotated[str | None, typer.Option(metavar="FORMAT", help="Form of the dates, such as %d/%m/%Y.")],
    "separator": Annotated[str | None, typer.Option(help="Between the columns of a text file, such as ; or tab.")],
    "decimal": Annotated[str | None, typer.Option(metavar=".|,", help="Decimal mark; the other separates thousands.")],
    "timezone": Annotated[
        str | None, typer.Option(metavar="ZONE", help="Zone of the exchange, for time stamps in UTC: Asia/Seoul.")
    ],
}
SWITCHES = [name for name, kind in OPTIONS.items() if kind.__origin__ is bool]


def takes_bars(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of bars; it gets those that were given as ``bars``, by their study keys."""
    own = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, keyword, default=False if name in SWITCHES else None, annotation=kind)
        for name, kind in OPTIONS.items()
    ]
    kept = [one.replace(kind=keyword) for one in own.parameters.values() if one.name != "bars"]

    @wraps(command)
    def with_options(**given: Any) -> None:  # noqa: ANN401 - as typer parsed them
        values = {name: given.pop(name) for name in OPTIONS}
        command(**given, bars={name: value for name, value in values.items() if value not in (None, False)})

    with_options.__signature__ = own.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    return with_options


def settings_of(data: str, bars: dict[str, object]) -> "BarsSettings":
    """Return the settings that options of bars make; a name may be dotted."""
    from pydantic import ValidationError

    from nextday.mistakes import first_mistake
    from nextday.settings import BarsSettings
    from nextday.study import set_key

    values: dict[str, object] = {"data": data}
    for name, value in bars.items():
        set_key(values, name, value)
    try:
        return BarsSettings.model_validate(values)
    except ValidationError as error:
        raise OptionError(first_mistake(error, BarsSettings)) from None
