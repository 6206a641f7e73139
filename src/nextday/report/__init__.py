"""From scores and forecasts to what a reader sees."""

from nextday.report.plots import draw_plots
from nextday.report.tables import summary_table, write_tables

__all__ = ["draw_plots", "summary_table", "write_tables"]
