"""Instruments as data, and the one scorer that reads them (domain.md §4)."""

from domain.instruments.answers import Answers, InvalidAnswersError
from domain.instruments.catalogue import DIGEST, INSTRUMENTS, UnknownInstrumentError, instrument
from domain.instruments.change import Change, change, change_between
from domain.instruments.rules import Sex
from domain.instruments.schema import Instrument
from domain.instruments.scoring import ENGINE_VERSION, Score, score
from domain.instruments.suicidality import needs_page, suicidality_asked, suicidality_flag, tier_answer_code
from domain.instruments.tier import Tier

__all__ = [
    "DIGEST",
    "ENGINE_VERSION",
    "INSTRUMENTS",
    "Answers",
    "Change",
    "Instrument",
    "InvalidAnswersError",
    "Score",
    "Sex",
    "Tier",
    "UnknownInstrumentError",
    "change",
    "change_between",
    "instrument",
    "needs_page",
    "score",
    "suicidality_asked",
    "suicidality_flag",
    "tier_answer_code",
]
