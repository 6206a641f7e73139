"""From files or frames to checked bars, and from bars to a complete panel."""

from nextday.data.bars import COLUMNS, Bars
from nextday.data.panel import Panel, align
from nextday.data.sources import load_bars
from nextday.data.synthetic import random_walk

__all__ = ["COLUMNS", "Bars", "Panel", "align", "load_bars", "random_walk"]
