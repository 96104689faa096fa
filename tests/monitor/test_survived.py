from __future__ import annotations

import pytest

from watchroom.monitor.survived import survived


class Book:
    @survived("nothing was written")
    def write(self, page):
        return 1 / page

    @survived("nothing was read", lambda _, page: page)
    def read(self, page):
        return 1 / page


def test_what_fails_is_logged_with_its_traceback_and_answered_for(caplog):
    assert Book().write(page=2) == Book().read(2) == 0.5
    assert not caplog.records

    assert Book().write(0) is None
    assert Book().read(page=0) == 0

    assert [record.message for record in caplog.records] == [
        "nothing was written",
        "nothing was read",
    ]
    assert {record.name for record in caplog.records} == {__name__}
    assert "ZeroDivisionError" in caplog.text


def test_what_ends_the_process_is_no_failure_to_survive():
    @survived("never")
    def leave():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
