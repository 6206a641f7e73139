"""Do engineered features help to forecast the next day's stock return? A controlled ablation, and how sure we are."""

from importlib.metadata import version

from nextday.errors import NextdayError
from nextday.judgement import Judgement, verdict
from nextday.ladder.run import compare_stages, run_all
from nextday.pipeline import Results, run
from nextday.planning import Prospect, plan
from nextday.study import Study

__all__ = [
    "Judgement", "NextdayError", "Prospect", "Results", "Study", "__version__", "compare_stages", "plan", "run",
    "run_all", "verdict",
]  # fmt: skip
__version__ = version("nextday")
