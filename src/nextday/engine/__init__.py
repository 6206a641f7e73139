"""Units of work: planned, fitted on local processes or a cluster, stored, and collected into the tables of a study."""

from nextday.engine.catalogs import Catalogs
from nextday.engine.cluster import open_workers
from nextday.engine.collect import collect
from nextday.engine.execute import Outcome, execute
from nextday.engine.execution import Execution, Options
from nextday.engine.log import RunLog
from nextday.engine.manifest import describe_run, versions
from nextday.engine.needs import choose_device, require_packages
from nextday.engine.plan import POOL, Plan, Unit, make_plan
from nextday.engine.reopen import Run, request_of
from nextday.engine.stacked import Packed, Stacked, choose_engine
from nextday.engine.store import Store, open_store
from nextday.engine.workers import Workers

__all__ = [
    "POOL", "Catalogs", "Execution", "Options", "Outcome", "Packed", "Plan", "Run", "RunLog", "Stacked", "Store",
    "Unit", "Workers", "choose_device", "choose_engine", "collect", "describe_run", "execute", "make_plan",
    "open_store", "open_workers", "request_of", "require_packages", "versions",
]  # fmt: skip
