"""Do engineered features help to forecast the next day's stock return? A controlled ablation, and how sure we are."""

from importlib.metadata import version

from nextday.errors import NextdayError
from nextday.pipeline import Results, run
from nextday.study import Study

__all__ = ["NextdayError", "Results", "Study", "__version__", "run"]
__version__ = version("nextday")
