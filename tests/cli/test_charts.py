"""A picture of a course must not say what the numbers do not."""

from __future__ import annotations

import pytest

from cli.charts import DOT, Series, draw


def row_of(picture: str, text: str) -> int:
    """The first row of the picture that holds this."""
    return next(number for number, line in enumerate(picture.splitlines()) if text in line)


@pytest.mark.parametrize(("total", "side"), [(6, -1), (5, 0), (4, 1)])
def test_a_total_lies_on_its_side_of_the_limit(total: int, side: int) -> None:
    """A total above the remission cut-off is drawn above its line, one below it below, however small the picture."""
    picture = draw(Series("PHQ-9", [(120, total)], limit=5, limit_name="remission"))
    wide = draw(Series("PHQ-9", [(0, 27), (120, total), (121, 0)], limit=5, limit_name="remission"))

    for drawn in (picture, wide):
        lines = drawn.splitlines()
        limit = row_of(drawn, "remission")
        mine = [number for number, line in enumerate(lines) if DOT in line and "│" in line]
        assert {-1: min(mine) < limit, 0: limit in mine, 1: max(mine) > limit}[side]


def test_a_series_without_scores_says_so() -> None:
    """Nothing is drawn for nothing."""
    assert "PHQ-9: no scores" == draw(Series("PHQ-9", []))
