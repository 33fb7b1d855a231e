"""Tests for tfprune.timing."""

import types

import pytest

from tfprune import timing


class Machine:
    """A clock that only the timed functions move, in milliseconds."""

    def __init__(self):
        self.cpu, self.wall, self.calls = 0.0, 0.0, ""

    def function(self, name, *cpu, wall=2):
        """Returns a function that takes these CPU times in turn."""
        cpu = list(cpu)

        def call():
            spent = cpu.pop(0) if len(cpu) > 1 else cpu[0]
            self.cpu, self.wall = self.cpu + spent, self.wall + wall * spent
            self.calls += name

        return call


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    clock = types.SimpleNamespace(
        process_time=lambda: machine.cpu / 1e3,
        perf_counter=lambda: machine.wall / 1e3,
    )
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(timing, "SAMPLE_MS", 20.0)
    return machine


def test_medians_of_cpu_time(machine):
    # The search for the repetitions takes the first four calls; before each of
    # the others there is one that does not count.
    slow = machine.function("a", 50, 50, 50, 50, 90, 10, 80, 30, 70, 20)
    fast = machine.function("b", 10)
    times = timing.cpu_ms({"slow": slow, "fast": fast}, runs=3)
    assert times == {"slow": pytest.approx(20), "fast": pytest.approx(10)}


def test_functions_take_turns(machine):
    functions = {name: machine.function(name, 15) for name in "abc"}
    timing.cpu_ms(functions, runs=2)
    search, run = "aaaabbbbcccc", "aabbcc"
    assert machine.calls == search + 2 * run


def test_fast_functions_are_repeated(machine):
    # A sample of 8 ms of wall time a call needs 4 calls for 20 ms, after as
    # many. A pause of the machine, in the second call, does not change that.
    functions = {
        "a": machine.function("a", 4, 99, 4),
        "b": machine.function("b", 40),
    }
    times = timing.cpu_ms(functions, runs=1)
    search = 2 * "a" + 2 * "a" + 4 * "a" + 2 * 8 * "a" + 4 * "b"
    assert machine.calls == search + 8 * "a" + 2 * "b"
    assert times == {"a": pytest.approx(4), "b": pytest.approx(40)}


def test_samples_hold_both_clocks(machine):
    functions = {"a": machine.function("a", 30, wall=3)}
    taken = timing.samples(functions, runs=2, sample_ms=100)
    assert len(machine.calls) == 2 + 2 * 4 + 2 * 4
    assert taken == {"a": [(pytest.approx(30), pytest.approx(90))] * 2}


def test_first_call_is_not_counted(machine):
    traced = machine.function("a", 1000, 1)
    assert timing.cpu_ms({"a": traced}, runs=4)["a"] == pytest.approx(1)


def test_real_clock_returns_plain_positive_numbers():
    times = timing.cpu_ms({"a": lambda: sum(range(1000))}, runs=1)["a"]
    assert type(times) is float and times > 0


@pytest.mark.parametrize("functions, runs", [({}, 3), ({"a": print}, 0)])
def test_nothing_to_time(functions, runs):
    with pytest.raises(ValueError, match="at least one function and one run"):
        timing.cpu_ms(functions, runs=runs)
