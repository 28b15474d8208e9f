"""How everything here is measured: side by side, in turn, several times, told as a median with its spread.

A machine is never idle and never twice the same. So contestants that are compared take turns within one run, and their
ratio is taken round by round: what slows one round down slows both sides of it. What never waits for anything is told
in processor time, so that other people's work does not count as ours. No figure is ever asserted.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeAlias

Contestant: TypeAlias = Callable[[], Awaitable[float]]
"""Does its work once, with its preparation outside of the clock, and gives units per second."""

Samples: TypeAlias = Mapping[str, Sequence[float]]
"""What each contestant gave, round by round."""

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report: the median of ``rounds`` samples, the least and the greatest of them."""

    name: str
    unit: str
    median: float
    least: float
    greatest: float
    rounds: int

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return asdict(self)


def figure(name: str, unit: str, values: Sequence[float]) -> Figure:
    """Sum up samples. Raises ValueError when there are none."""
    return Figure(name, unit, statistics.median(values), min(values), max(values), len(values))


def ratio(name: str, samples: Samples, over: str, under: str) -> Figure:
    """Sum up the rounds' ratios of two contestants' speeds: 2 means that ``over`` is twice as fast as ``under``."""
    return figure(name, "×", [a / b for a, b in zip(samples[over], samples[under], strict=True)])


def duration(name: str, unit: str, rates: Sequence[float]) -> Figure:
    """Sum up how long one unit took, in ``ms`` or ``µs``, from units per second."""
    scale = {"ms": 1e3, "µs": 1e6}[unit]
    return figure(name, unit, [scale / rate for rate in rates])


async def alternate(contestants: Mapping[str, Contestant], rounds: int) -> Samples:
    """Let all take part in each round, in an order that turns every time; a first round only warms up."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(rounds + 1):
        for name in order:
            gc.collect()  # nobody pays for the garbage of the one before
            samples[name].append(await contestants[name]())
        order.reverse()
    return {name: values[1:] for name, values in samples.items()}


async def per_second(units: int, work: Awaitable[object]) -> float:
    """Do this work once; units per second by the clock on the wall."""
    started = perf_counter()
    await work
    return units / (perf_counter() - started)


def repeated(units: int, work: Callable[[], object], *, seconds_min: float) -> Contestant:
    """Make a contestant of something short: ``units`` at a time, again and again for so much processor time."""

    async def sample() -> float:
        started, times, passed = process_time(), 0, 0.0
        while passed < seconds_min:
            work()
            times += 1
            passed = process_time() - started
        return units * times / passed

    return sample


def repeated_async(units: int, work: Callable[[], Awaitable[object]], *, seconds_min: float) -> Contestant:
    """Do the same with something that waits, by the clock on the wall."""

    async def sample() -> float:
        started, times, passed = perf_counter(), 0, 0.0
        while passed < seconds_min:
            await work()
            times += 1
            passed = perf_counter() - started
        return units * times / passed

    return sample


def machine() -> dict[str, str]:
    """Tell where and when this is measured; nothing that names the machine."""
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} ({_cpu()})",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_event_loop()}",
    }


def load() -> str:
    """Tell how many processes wanted to run in the last minute: above the number of cores, ours had to wait."""
    return f"{os.getloadavg()[0]:.1f}"


def _cpu() -> str:
    names = [line for line in _CPU_INFO.read_text("utf-8").splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor() or "of unknown make"


def _event_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
