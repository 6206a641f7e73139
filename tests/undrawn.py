"""Studies without pictures, for tests that look at none: drawing takes most of the time of a small study."""

from contextlib import contextmanager

import pytest

from nextday.reporting.plates import Printed


@contextmanager
def undrawn():
    """Write empty files in place of figures, and a page without them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextday.pipeline.draw_plots", empty)
        patch.setattr("nextday.reporting.html._pictures", lambda *_: {})
        yield


def empty(out, name, figures):
    for suffix in figures:
        (out / f"{name}_{suffix}.png").touch()
    return {suffix: Printed(plate.title, b"") for suffix, plate in figures.items()}
