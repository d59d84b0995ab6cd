from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.source_file import FileStamp
from ingestd.inbox.settling import Settling

stamps = st.builds(FileStamp, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))


@given(st.lists(st.tuples(st.floats(0, 2), stamps), min_size=1, max_size=30))
def test_a_file_settles_only_after_looking_the_same_for_the_quiet_time(seen: list[tuple[float, FileStamp]]) -> None:
    settling: Settling[str] = Settling(1.0)
    now, since, last = 0.0, 0.0, None
    for pause, stamp in seen:
        now += pause
        if stamp != last:
            since, last = now, stamp
        if settling.see("file", stamp, now):
            assert now - since >= 1.0


def test_an_empty_file_is_given_more_time() -> None:
    settling: Settling[str] = Settling(1.0, empty_quiet_s=60.0)
    empty = FileStamp(0, 1, 1)
    assert not settling.see("file", empty, 0.0)
    assert not settling.see("file", empty, 59.0)
    assert settling.see("file", empty, 60.0)


def test_the_due_files_are_those_that_would_be_complete_now() -> None:
    settling: Settling[str] = Settling(1.0)
    settling.see("early", FileStamp(1, 1, 1), 0.0)
    settling.see("late", FileStamp(1, 1, 2), 0.5)
    assert settling.next_due() == 1.0
    assert settling.list_due(1.2) == ["early"]
    settling.drop("early")
    assert settling.list_due(9.0) == ["late"]


def test_a_writer_with_pauses_gets_twice_the_longest_of_them() -> None:
    settling: Settling[str] = Settling(1.0, longest_quiet_s=10.0)
    settling.see("file", FileStamp(1, 1, 1), 0.0)
    settling.see("file", FileStamp(2, 2, 1), 3.0)
    settling.see("file", FileStamp(3, 3, 1), 3.5)
    assert settling.see("file", FileStamp(3, 3, 1), 4.5)
    assert not settling.is_past_pauses("file", 4.5)
    assert settling.next_due() == 9.5
    assert not settling.is_past_pauses("file", 9.0)
    assert settling.is_past_pauses("file", 9.5)
    settling.see("file", FileStamp(4, 4, 1), 20.0)  # a pause of 16.5 seconds
    assert settling.is_past_pauses("file", 30.0)  # no more than the limit


def test_the_next_file_of_a_name_is_no_pause() -> None:
    settling: Settling[str] = Settling(1.0)
    settling.see("file", FileStamp(1, 1, 1), 0.0)
    settling.see("file", FileStamp(1, 1, 2), 50.0)
    assert settling.is_past_pauses("file", 51.0)


def test_a_file_that_is_held_is_looked_at_again_after_the_quiet_time() -> None:
    settling: Settling[str] = Settling(1.0)
    settling.see("file", FileStamp(1, 1, 1), 0.0)
    assert settling.hold("file", FileStamp(1, 1, 1), 5.0) == 5.0
    assert settling.list_due(5.5) == []
    assert settling.list_due(6.0) == ["file"]
    assert settling.see("file", FileStamp(1, 1, 1), 6.0)
