"""Units of work: planned, fitted on local processes or a cluster, kept, collected into the forecasts table."""

from nextday.run.cluster import open_workers
from nextday.run.execute import Outcome, execute
from nextday.run.manifest import describe_run
from nextday.run.plan import POOL, Plan, Unit, make_plan
from nextday.run.probe import find_probed, run_probes
from nextday.run.schemas import schemas
from nextday.run.stacked import Packed, Stacked, choose_engine
from nextday.run.store import Store, open_store
from nextday.run.table import collect
from nextday.run.workers import Workers

__all__ = [
    "POOL", "Outcome", "Packed", "Plan", "Stacked", "Store", "Unit", "Workers",
    "choose_engine", "collect", "describe_run", "execute", "find_probed", "make_plan", "open_store", "open_workers",
    "run_probes", "schemas",
]  # fmt: skip
