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
            last = None


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
