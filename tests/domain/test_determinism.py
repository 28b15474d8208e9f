"""A decision is a function: the same question has the same answer in every process (I1, D13)."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.domain import stages, v1
from tests.domain.kit import Story

DIGEST = """
from hashlib import sha256
from tests.domain import stages, v1
story = v1.completed()
told = [repr(decision) for decision in story.decisions] + [record.model_dump_json() for record in story.records]
print(sha256("".join([*told, story.state.model_dump_json()]).encode()).hexdigest())
"""


def test_the_order_of_a_hash_table_decides_nothing() -> None:
    """V1's decisions, records and state are byte for byte the same under two hash seeds."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "20260105")
    ]
    first, second = (process.communicate(timeout=60)[0].strip() for process in running)

    assert [0, 0] == [process.returncode for process in running]
    assert 64 == len(first)
    assert first == second


def test_living_it_again_gives_the_same_journey() -> None:
    """The same commands at the same times, told to a new journey, end in the same state."""
    lived = v1.onboarded()
    again = Story()
    stages.refer(again)
    stages.come_aboard(again)

    assert lived.state == again.state
    assert lived.records == again.records
