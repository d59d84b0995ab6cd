from __future__ import annotations

from itertools import count

from ingestd.core.stats import IngestStats


def test_the_time_of_a_stage_is_the_sum_of_its_blocks() -> None:
    stats = IngestStats(clock=map(float, count()).__next__)  # a second passes with every look
    for _ in range(3):
        with stats.timed("decide"):
            pass
    stats.add_seconds("write", 0.5)
    assert stats.snapshot().seconds == {"decide": 3.0, "write": 0.5}


def test_a_snapshot_does_not_change_with_later_counts() -> None:
    stats = IngestStats(clock=lambda: 0.0)
    stats.files["stored"] += 1
    before = stats.snapshot()
    stats.files["stored"] += 1
    stats.articles += 1
    assert (before.files, before.articles) == ({"stored": 1}, 0)


def test_states_without_a_file_are_left_out() -> None:
    stats = IngestStats(clock=lambda: 0.0)
    stats.files["unchanged"] += 0
    assert stats.snapshot().files == {}
