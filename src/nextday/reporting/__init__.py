"""From scores, forecasts and the verdict to what a reader sees."""

from nextday.reporting.html import render_report
from nextday.reporting.static import draw_plots
from nextday.reporting.tables import contrasts_table, summary_table, uncertainty_table, write_csv

__all__ = ["contrasts_table", "draw_plots", "render_report", "summary_table", "uncertainty_table", "write_csv"]
