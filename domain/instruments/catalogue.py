"""The instruments this build knows, read once at import: with the protocols, the only read the domain makes."""

from __future__ import annotations

import json
import tomllib
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType

from domain.instruments.schema import Instrument


class UnknownInstrumentError(LookupError):
    """No instrument of this build has that id."""


def _read_files() -> tuple[str, ...]:
    folder = files(__package__) / "data"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    return tuple(path.read_text(encoding="utf-8") for path in paths)


def parse(text: str) -> Instrument:
    """One data file as an instrument. Raises ValidationError when the file is wrong: a bug of the build."""
    # By way of JSON, where strict validation knows that an array may be a tuple and nothing else is converted.
    return Instrument.model_validate_json(json.dumps(tomllib.loads(text)))


_TEXTS = _read_files()
INSTRUMENTS = MappingProxyType({instrument.id: instrument for instrument in map(parse, _TEXTS)})
"""Every instrument by its id, such as ``PHQ-9``."""

DIGEST = sha256("\0".join(_TEXTS).encode()).hexdigest()
"""SHA-256 of all data files: under which cut-offs a score was made (architecture D8)."""


def instrument(instrument_id: str) -> Instrument:
    """Find the instrument of that id. Raises UnknownInstrumentError."""
    try:
        return INSTRUMENTS[instrument_id]
    except KeyError as error:
        raise UnknownInstrumentError(f"this instrument is not known; use one of {', '.join(INSTRUMENTS)}") from error
