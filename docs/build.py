"""Writes docs/reference/ and the lists in docs/privacy.md from the code: ``python -m docs.build``.

What the code already says is never typed a second time. ``tests/tidy`` fails when a page is not what this would write.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from api.app import create_app
from docs.markdown import Shapes, fields_of, sentence, table
from docs.sayings import sentences, statuses
from domain.codes import Code
from domain.journey import COMMANDS, EVENTS, FACTS
from domain.journey.messages import Command, Event
from domain.journey.referral import SubmitReferral
from domain.protocols import CATALOGUE
from runtime import names
from runtime.logs import FIELDS
from runtime.metrics import LABELS
from runtime.settings import PREFIX, Settings
from runtime.telemetry import SPAN_ATTRIBUTES

DOCS = Path(__file__).resolve().parent
REFERENCE = DOCS / "reference"
PRIVACY = DOCS / "privacy.md"
NOTE = "<!-- Written by `python -m docs.build`. Change the code, not this page. -->"
_LISTS = re.compile(r"(?<=<!-- lists: begin -->\n).*?(?=<!-- lists: end -->)", re.DOTALL)


def page(path: Path) -> str:
    """Give the text that a page of WRITTEN must have."""
    if path == PRIVACY:
        return _LISTS.sub(lambda _: _privacy_lists(), PRIVACY.read_text("utf-8"))
    return _PAGES[path.stem]()


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"


def _phase(message: type[BaseModel]) -> str:
    return message.__module__.rpartition(".")[2]


def _by_phase(messages: Iterable[type[BaseModel]], write: Callable[[Any], str]) -> list[str]:
    """One section for each phase, in the order in which the registry has them."""
    sections = []
    for phase, members in groupby(messages, key=_phase):
        sections += [f"## {phase.replace('_', ' ').capitalize()}", *(write(member) for member in members)]
    return sections


def _commands() -> str:
    shapes = Shapes()

    def command(message: type[Command]) -> str:
        opening = message is SubmitReferral
        route = "/journeys" if opening else f"/journeys/{{journey_id}}/commands/{message.name}"
        roles = ", ".join(f"`{role}`" for role in sorted(message.roles))
        head = f"### `{message.name}`\n\n{sentence(message)}\n\n`POST {route}`, by {roles}."
        return f"{head}\n\n{fields_of(message, shapes)}"

    def fact(message: type[Command]) -> str:
        return f"### `{message.name}`\n\n{sentence(message)}\n\n{fields_of(message, shapes)}"

    return _page(
        "Commands and facts",
        "A command is a person's request, sent to the API with an `Idempotency-Key` and answered; it may be refused "
        "([codes](codes.md)). Inside Temporal it is an update of the same name.",
        *_by_phase(COMMANDS.values(), command),
        "## Facts\n\nWhat outside systems report. Signals of the same name; never refused.",
        *(fact(message) for message in FACTS.values()),
        shapes.section(),
    )


def _events() -> str:
    shapes = Shapes()

    def event(message: type[Event]) -> str:
        described = f"{sentence(message)}\n\n" if message.__doc__ else ""
        about = f"{described}Sensitivity `{message.sensitivity}`."
        return f"### `{message.type}`\n\n{about}\n\n{fields_of(message, shapes)}"

    return _page(
        "Events",
        "What the log holds. A stored type is never renamed and never changed: a new shape is a new version. Every "
        "event also has a header (who, when, why, under which rules), which stands in clear and is chained; the "
        "fields below are sealed under the patient's key.",
        *_by_phase(EVENTS.values(), event),
        shapes.section(),
    )


def _codes() -> str:
    said, status = sentences(), statuses()
    domain = [code.value for code in Code]

    def row(code: str) -> list[str]:
        return [f"`{code}`", str(status.get(code, "4xx")), "<br>".join(said.get(code, []))]

    head = ["code", "HTTP", "what it says"]
    return _page(
        "Codes",
        "Every refusal and every failure is a problem (RFC 9457) with a `code` for programs and a `detail` that says "
        "what to do next, as here; `…` is filled in. None of them holds anything about the patient.",
        "## Refusals\n\nA journey's own answers: you cannot do that now.",
        table(head, map(row, domain)),
        "## Failures\n\nThe API's answers about the request, or about what does not answer.",
        table(head, map(row, sorted(said.keys() - set(domain)))),
    )


def _settings() -> str:
    def row(name: str) -> list[str]:
        field = Settings.model_fields[name]
        secret = SecretStr in (field.annotation, *get_args(field.annotation))
        variable = f"`{PREFIX}{name.upper()}`" + (f"<br>`{PREFIX}{name.upper()}_FILE`" if secret else "")
        default = "computed" if field.default_factory else "" if field.default is None else f"`{field.default}`"
        return [variable, default, (field.description or "").replace("``", "`")]

    return _page(
        "Settings",
        "Read from the environment when a process starts, and from files of the same names under `/run/secrets`. A "
        "process that misses one it needs says so and names it. Temporal is reached by the SDK's own `TEMPORAL_*` "
        "variables or `temporal.toml`, and spans are exported by the standard `OTEL_*`.",
        table(["variable", "default", "meaning"], map(row, Settings.model_fields)),
        "The embedded servers of `alliance demo` and `alliance up` also read `ALLIANCE_STATE_DIR` (where they keep "
        "their state; default `.alliance`) and `ALLIANCE_PG_BIN` (a directory with PostgreSQL's programs).",
    )


def _protocols() -> str:
    def section(version: str) -> str:
        protocol = CATALOGUE[version]
        values = [[f"`{path}`", f"`{value}`"] for path, value in _leaves(protocol.model_dump(mode="json"))]
        return f"## `{version}`\n\n{protocol.title}.\n\n{table(['rule', 'value'], values)}"

    return _page(
        "Protocols",
        "The rules that this build can run a journey under, as shipped in `domain/protocols/`, whose files name the "
        "source of each number. A journey records the version and the digest of every decision.",
        *(section(version) for version in CATALOGUE),
    )


def _leaves(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{path}.{number}")
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else value


def _routes() -> str:
    nothing: Any = SimpleNamespace(settings=SimpleNamespace(codec_allowed_origins=()))
    paths = create_app(nothing).openapi()["paths"]
    rows = [
        [f"`{method.upper()} {path}`", operation.get("summary", "")]
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    return _page(
        "Routes",
        "`/openapi.json` describes each with its bodies, headers and answers; `/docs` shows that to a person.",
        table(["route", "what it does"], rows),
    )


def _privacy_lists() -> str:
    def listed(title: str, members: Iterable[str]) -> str:
        return f"{title}: {', '.join(f'`{member}`' for member in members)}.\n"

    def constants(ending: str) -> list[str]:
        return [str(value) for name, value in vars(names).items() if name.endswith(ending) and isinstance(value, str)]

    attributes = [f"{name} ({kind})" for name, kind in names.SEARCH_ATTRIBUTE_KINDS.items()]
    return "\n".join(
        [
            listed("Task queues", [names.JOURNEYS, names.EFFECTS, names.ESCALATIONS]),
            listed("Workflow types", constants("_WORKFLOW")),
            listed("Search attributes", attributes),
            listed("Log fields", sorted(FIELDS)),
            listed("Span attributes", sorted(SPAN_ATTRIBUTES)),
            listed("Metric labels", sorted(LABELS)),
        ]
    )


_PAGES: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "events": _events,
    "codes": _codes,
    "settings": _settings,
    "protocols": _protocols,
    "routes": _routes,
}

WRITTEN = (*(REFERENCE / f"{name}.md" for name in _PAGES), PRIVACY)
"""Every page, or part of one, that this writes."""


def main() -> None:
    """Write the pages that changed, and say which."""
    REFERENCE.mkdir(exist_ok=True)
    for path in WRITTEN:
        text = page(path)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
