"""A clock that was set back: the future is forgotten, the past is not."""

from __future__ import annotations

from watchroom.promql.model import Matcher, labels_of

START, HOUR, DAY = 1_800_000_000, 3600, 86_400
M = [labels_of({"__name__": "m"})]
ALL = [Matcher("__name__", "=", "m")]


def test_the_future_is_forgotten_in_memory_and_on_disk_and_the_past_is_not(
    open_store, clock, answers
):
    def put(seconds):
        return store.append("t", round(seconds * 1000), M, [seconds]).accepted

    def held():
        """Return the seconds that are held, and check each value."""
        (found,) = answers(store, ALL).values() if answers(store, ALL) else ({},)
        return [at // 1000 for at, _ in found]

    store = open_store()
    for second in range(0, 4 * HOUR, 60):
        clock.seconds = START + second
        assert put(clock.seconds)
        if second % 1800 == 0:
            store.maintain()
    old = store.snapshot()
    before = answers(old, ALL)
    clock.seconds -= 2 * HOUR
    assert not put(clock.seconds + 1)
    store.moved(-2 * HOUR)
    store.flush()
    # Less a quarter of an hour that would lie beside what comes.
    last = START + 4 * HOUR - 60 - 2 * HOUR - 900
    kept = list(range(START, last + 1, 60))
    assert held() == kept
    assert put(clock.seconds + 1)
    assert store.ahead == 0
    assert any("set back" in one for one in store.warnings)
    assert answers(old, ALL) == before, "who reads goes on reading what there was"
    del old
    store.maintain()
    store.close()
    store = open_store()
    assert held() == [*kept, clock.seconds + 1], "nor does it come back"
    assert put(clock.seconds + 2)
    clock.seconds -= 5 * DAY
    store.close()
    store = open_store()  # set back while the monitor did not run
    store.flush()
    assert put(clock.seconds + 1)
    assert held() == [clock.seconds + 1]


def test_a_clock_set_forward_forgets_nothing(open_store, clock, answers):
    store = open_store()
    store.append("t", START * 1000, M, [1.0])
    clock.seconds += DAY
    store.moved(DAY)
    store.flush()
    assert answers(store, ALL)
    assert store.append("t", (START + DAY) * 1000, M, [1.0]).accepted
