"""The published worked examples: answers in, everything expected out."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from domain.instruments import INSTRUMENTS, Answers, Score, score

VECTORS: list[dict[str, Any]] = json.loads((files(__package__) / "vectors.json").read_text(encoding="utf-8"))


def as_answers(given: Any) -> Answers:
    """Read a vector's input by way of JSON, as the API would receive it."""
    match given:
        case {"items": _}:
            body = given
        case dict():
            body = {"yes_no": given}
        case _:
            body = {"items": given}
    return Answers.model_validate_json(json.dumps(body))


def as_vector(result: Score) -> dict[str, Any]:
    """Spell a score as the vectors do: one flat mapping, MEQ30's subscales also as ``raw`` and ``pct``."""
    percents = {name: result.derived.get(f"{name}_pct") for name in result.subscales}
    return {
        "total": result.total,
        "band": result.band,
        "tier": result.tier,
        "raw": result.subscales,
        "pct": percents,
        **result.subscales,
        **result.flags,
        **result.derived,
    }


def test_every_instrument_of_the_vectors_is_included() -> None:
    """No instrument of the specification's vectors is left out; these are the only ones shipped beside them."""
    named = {vector["instrument"] for vector in VECTORS}

    assert set() == named - INSTRUMENTS.keys()
    assert {"ASRM", "Bladder-3", "CAPS-5", "STOP-BANG"} == INSTRUMENTS.keys() - named


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{one['instrument']}: {one['case']}" for one in VECTORS])
def test_a_vector_scores_as_published(vector: dict[str, Any]) -> None:
    """Each worked example gives exactly the totals, bands, subscales and flags of the specification."""
    found = as_vector(score(vector["instrument"], as_answers(vector["input"])))

    assert vector["expected"] == {name: found[name] for name in vector["expected"]}
