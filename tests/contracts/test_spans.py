from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.contracts import span
from rmtl_bench.contracts.spans import HARNESS, SpanRecorder, active_recorder, recording


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def tick(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recorder(clock):
    return SpanRecorder(clock=clock)


def test_a_span_within_another_is_taken_out_of_it(clock, recorder):
    with recording(recorder):
        clock.tick(1)
        with span("step"):
            clock.tick(2)
            with span("forward"):
                clock.tick(4)
            clock.tick(8)
            with span("forward"):
                clock.tick(16)
                with span("forward"):
                    clock.tick(32)
        clock.tick(64)
    recorder.settle()
    assert recorder.seconds == {HARNESS: 65, "step": 10, "forward": 52}
    assert recorder.counts == {"step": 1, "forward": 3}


TREES = st.recursive(st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3))


@given(TREES, st.floats(0, 10))
def test_the_parts_add_up_to_all_the_time_there_was(tree, ahead):
    clock = Clock()
    recorder = SpanRecorder(ahead, clock)

    def grow(branches):
        for name, inner in branches:
            clock.tick(1)
            with span(name):
                clock.tick(3)
                grow(inner)

    with recording(recorder):
        grow(tree)
    clock.tick(5)
    recorder.settle()
    assert sum(recorder.seconds.values()) == pytest.approx(ahead + clock.now - 100)


def test_without_a_recorder_all_spans_are_the_same_nothing(recorder):
    assert active_recorder() is None
    assert span("forward") is span("backward")
    with span("forward"), span("forward"):
        pass
    assert recorder.counts == {}


def test_an_error_ends_the_span_that_it_leaves(clock, recorder):
    def fail():
        clock.tick(1)
        raise ValueError("no")

    with recording(recorder), pytest.raises(ValueError, match="no"), span("forward"):
        fail()
    clock.tick(1)
    recorder.settle()
    assert recorder.seconds == {HARNESS: 1, "forward": 1}
    assert active_recorder() is None


def test_what_is_not_recorded_belongs_to_what_is_around_it(clock, recorder):
    with recording(recorder), span("data"):
        with recording(None), span("forward"):
            clock.tick(2)
        clock.tick(1)
    assert recorder.seconds["data"] == 3
    assert "forward" not in recorder.counts


def test_spans_of_other_threads_do_not_count(recorder):
    def work():
        with span("forward"):
            pass

    with recording(recorder):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert recorder.counts == {}
