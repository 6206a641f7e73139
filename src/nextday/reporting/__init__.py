"""Tables, plots and the report of a study, from its scores, forecasts and verdict."""

from nextday.reporting.html import date_report, render_report
from nextday.reporting.plates import Exhibit, Figures, Plate, exhibit_table
from nextday.reporting.static import draw_plots, figures_of
from nextday.reporting.tables import contrasts_table, summary_table, write_csv

__all__ = [
    "Exhibit", "Figures", "Plate", "contrasts_table", "date_report", "draw_plots", "exhibit_table", "figures_of",
    "render_report", "summary_table", "write_csv",
]  # fmt: skip
