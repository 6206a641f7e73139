"""Quantile forecasts in a study's report: a table of scores, coverage and tests, and figures."""

from nextday.analyses.base import Analysis, Finished, Shown
from nextday.analyses.uncertainty.assess import assess, coverage_sentences
from nextday.analyses.uncertainty.figures import draw
from nextday.analyses.uncertainty.table import lay_out


def show(finished: Finished) -> Shown:
    """Assess the variants with quantiles, if there are any."""
    forecasts = finished.tables["forecasts"]
    assessed = assess(forecasts, finished.scores, alpha=finished.study.verdict.alpha)
    if assessed.is_empty():
        return Shown()
    return Shown(
        plates=tuple(draw(forecasts)),
        said={"uncertainty": assessed.to_dicts(), "coverage": coverage_sentences(assessed)},
        exhibits=(lay_out(assessed),),
        findings={"uncertainty": assessed},
    )


ANALYSIS = Analysis("uncertainty", show=show)
