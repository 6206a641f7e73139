"""Power by planted signals: how often a study finds what is in a copy of its own bars."""

from nextday.power.run import Power, plant

__all__ = ["Power", "plant"]
