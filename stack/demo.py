"""``alliance demo``: boots everything, tells one worked case through the API, and asks the auditor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx2
from temporalio.client import Client

from runtime.names import journey_workflow_id
from stack.embedded import HOST, EmbeddedStack
from stack.stories import v1
from stack.stories.clock import StoryClock
from stack.stories.teller import Fact, Teller
from stack.tokens import all_tokens

STORIES: dict[str, ModuleType] = {"V1": v1}
API_TIMEOUT_SECONDS = 30.0


@dataclass
class Told:
    """What came of a story."""

    journey_id: str
    facts: tuple[Fact, ...]
    timeline: list[dict[str, Any]]
    series: dict[str, list[dict[str, Any]]]
    commands: int
    day_of: Callable[[str], int]
    zone: ZoneInfo
    ui_path: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.facts) and all(fact.holds for fact in self.facts)


async def tell(stack: EmbeddedStack, state_dir: Path, case: str, progress: Callable[[str, datetime], None]) -> Told:
    """Tell a worked case to a running stack. Raises StoryError when it goes otherwise."""
    story = STORIES[case]
    began = time.monotonic()
    tokens = await all_tokens(state_dir, stack.ports["identity"])
    assert stack.temporal is not None
    temporal = await Client.connect(stack.temporal.target, namespace=stack.temporal.namespace)
    start = datetime.combine(story.DAY_ZERO, datetime.min.time(), story.ZONE).replace(hour=9)
    simulators = f"http://{HOST}:{stack.ports['simulators']}"
    async with (
        httpx2.AsyncClient(base_url=stack.api_url, timeout=API_TIMEOUT_SECONDS, trust_env=False) as api,
        httpx2.AsyncClient(base_url=simulators, timeout=API_TIMEOUT_SECONDS, trust_env=False) as outside,
    ):
        teller = Teller(
            api=api,
            outside=outside,
            tokens=tokens,
            clock=StoryClock(temporal, start),
            day_zero=story.DAY_ZERO,
            zone=story.ZONE,
            progress=progress,
        )
        await story.tell(teller)
        timeline = (await teller.read("auditor", "/timeline"))["entries"]
        series = (await teller.read("prescriber", "/outcomes"))["series"]
    return Told(
        journey_id=str(teller.journey_id),
        facts=tuple(teller.facts),
        timeline=timeline,
        series=series,
        commands=teller.commands,
        day_of=teller.day_of,
        zone=teller.zone,
        ui_path=await _page_of(temporal, teller),
        seconds={"story": round(time.monotonic() - began, 1)},
    )


async def _page_of(temporal: Client, teller: Teller) -> str:
    """Where the Temporal UI says in words how the journey stands."""
    assert teller.journey_id is not None
    workflow_id = journey_workflow_id(teller.journey_id)
    run = (await temporal.get_workflow_handle(workflow_id).describe()).run_id
    return f"/namespaces/{temporal.namespace}/workflows/{quote(workflow_id, safe='')}/{run}/user-metadata"
