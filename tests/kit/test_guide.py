"""The plans of the instructor guide: hours that add up, minutes that are true."""

import re

import pytest
from plan_minutes import GUIDE, ROW, counted, filled

TEXT = GUIDE.read_text(encoding="utf-8")
# "## One day ... (7 hours)": the heading and the rows of its table.
PLANS = {}
for section in re.split(r"^## ", TEXT, flags=re.M)[1:]:
    heading, body = section.split("\n", 1)
    if rows := [row.groups() for row in ROW.finditer(body)]:
        PLANS[heading] = rows


def minutes(time):
    hours, rest = time.split(":")
    return 60 * int(hours) + int(rest)


def test_there_are_plans_for_two_hours_one_day_and_two_days():
    assert [heading.split(":")[0] for heading in PLANS] == [
        "Two hours",
        "One day",
        "Two days, the first",
        "Two days, the second",
    ]


def test_counted_minutes_are_up_to_date():
    assert filled(TEXT) == TEXT, "run python tests/tools/plan_minutes.py"


@pytest.mark.parametrize("heading", PLANS)
def test_each_part_fits_its_slot_and_the_day_its_hours(heading):
    times = [minutes(row[0]) for row in PLANS[heading]]
    end = 60 * float(re.search(r"\(([\d.]+) hours\)", heading)[1])
    assert times[0] == 0 and times[-1] == end and times == sorted(set(times))
    for start, stop, row in zip(times, times[1:], PLANS[heading]):
        if row[4]:
            assert int(row[4]) + 2 <= stop - start, row
    rests = [t for t, row in zip(times, PLANS[heading]) if "reak" in row[5]]
    rests += [t for t, row in zip(times, PLANS[heading]) if "unch" in row[5]]
    between = [0, *sorted(rests), end]
    assert max(b - a for a, b in zip(between, between[1:])) <= 105, "no break for long"


def test_wrong_section_is_noticed():
    with pytest.raises(LookupError, match="no section 40"):
        counted("01", "1-2, 40")
    assert counted("99", "1") is None
