"""Which market a panel has: the one that is named, or none."""

from dataclasses import replace

from nextday.data.bars import Bars
from nextday.data.panel import Panel, align
from nextday.settings import BarsSettings


def panel_of(bars: Bars, settings: BarsSettings) -> Panel:
    """Cut bars to the panel that settings ask for; bars of one ticker need no market unless one is named.

    Raises
    ------
    DataError
        As ``align`` does.
    """
    alone = len(bars.tickers) == 1 and "market" not in settings.model_fields_set
    market = "" if alone else settings.index
    panel = align(bars, tickers=settings.tickers, market=market, balance=settings.balance)
    if not alone:
        return panel
    return replace(panel, notes=(*panel.notes, f"{bars.tickers[0]} is the only ticker: there is no market"))
