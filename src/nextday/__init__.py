"""Do engineered features help to forecast the next day's stock return? A controlled ablation, and how sure we are."""

from importlib.metadata import version

from nextday.errors import NextdayError
from nextday.ladder import compare_stages, run_all
from nextday.pipeline import Results, run
from nextday.study import Study

__all__ = ["NextdayError", "Results", "Study", "__version__", "compare_stages", "run", "run_all"]
__version__ = version("nextday")
