"""matplotlib's figure, shown by a notebook without pyplot."""

import matplotlib as mpl
from matplotlib.figure import Figure

from nextday.reporting import style


class Canvas(Figure):
    """A figure that a notebook shows even where no backend was chosen for one."""

    def _repr_png_(self) -> bytes:
        with mpl.rc_context(style.STYLE):
            return style.png(self)
