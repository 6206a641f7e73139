"""Studies and ladders without pictures, for tests that look at none: drawing takes most of the time of a small one."""

from contextlib import contextmanager

import pytest

from nextday.reporting.plates import Printed
from nextday.reporting.static import draw_plots
from nextday.reporting.svg import Picture

LADDER = {name: Picture(name, "", "", "", ()) for name in ("leaderboard", "frontier")}


@contextmanager
def undrawn(*kept):
    """Write empty files in place of figures, but those that are ``kept``, and pages without them."""

    def draw(out, name, figures):
        chosen = {suffix: plate for suffix, plate in figures.items() if suffix in kept}
        for suffix in figures.keys() - chosen:
            (out / f"{name}_{suffix}.png").touch()
        drawn = draw_plots(out, name, chosen)
        return {suffix: drawn.get(suffix) or Printed(plate.title, b"") for suffix, plate in figures.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextday.pipeline.draw_plots", draw)
        patch.setattr("nextday.reporting.html._pictures", lambda *_: {})
        patch.setattr("nextday.ladder.run.draw_ladder", lambda *_, **__: None)
        patch.setattr("nextday.ladder.page._pictures", lambda *_: LADDER)
        yield
