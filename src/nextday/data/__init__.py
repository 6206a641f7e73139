"""From files or frames to checked bars, and from bars to a complete panel."""

from nextday.data.bars import Bars, check_keys
from nextday.data.checks import Finding, check_bars
from nextday.data.market import panel_of
from nextday.data.panel import Panel, align
from nextday.data.sessions import Calendar
from nextday.data.sources import checked, load, load_bars, read, read_bars
from nextday.data.synthetic import random_walk
from nextday.settings import COLUMNS

__all__ = [
    "COLUMNS", "Bars", "Calendar", "Finding", "Panel",
    "align", "check_bars", "check_keys", "checked", "load", "load_bars", "panel_of", "random_walk", "read",
    "read_bars",
]  # fmt: skip
