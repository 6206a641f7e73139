"""How often the audit of columns is wrong, and what it misses, on many panels.

``python benchmarks/audit.py`` prints more.
"""

import pytest

from leaks import CLEAN, LEAKS, any_simulated, audited, missed, real, simulated

PANELS = 60  # of each kind
KINDS = {"real": real, "simulated": any_simulated}
LIQUID = {"real": real, "simulated": simulated}  # no bounce between bid and ask, under which small leaks are hidden
FEWER = 12


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_clean_columns_raise_an_alarm_in_at_most_5_percent_of_audits(capsys):
    alarms = [
        (one.name, one.code, f"{kind} {seed}", dict(one.numbers))
        for kind, draw in KINDS.items() for seed in range(PANELS) for one in audited(draw(seed), CLEAN) if one.is_open
    ]  # fmt: skip
    audits = len(KINDS) * PANELS
    loud = len({where for *_, where, _ in alarms})
    with capsys.disabled():
        print(f"\nalarms in {loud} of {audits} audits: {alarms}")
    assert loud <= 0.05 * audits
    assert len(alarms) <= 0.001 * audits * len(CLEAN)


@pytest.mark.slow
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("kind", LIQUID)
def test_leaks_are_found_on_nearly_all_panels(kind, capsys):
    leaks = [name for name, leak in LEAKS.items() if leak.detectable and leak.level == "alarm"]
    times = {}
    for seed in range(FEWER):
        for name in missed(LIQUID[kind](seed), LEAKS):
            times[name] = times.get(name, 0) + 1
    often = {name: count for name, count in times.items() if name in leaks}
    with capsys.disabled():
        print(f"\n{kind}: missed on some of {FEWER} panels: {often}")
    assert not {name: count for name, count in often.items() if count > FEWER / 4}
    assert sum(often.values()) <= 0.02 * FEWER * len(leaks)
