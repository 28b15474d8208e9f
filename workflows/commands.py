"""Commands at the door: what can be read, and what may not wait."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue

from domain import journey as rules
from domain.codes import Code
from domain.envelope import CommandEnvelope, Receipt
from domain.journey import Command
from domain.journey.referral import SubmitReferral
from domain.journey.safety import AnswerPage, urgent_tier
from workflows.contracts import CommandAnswer
from workflows.ledger import RefusedError, refusal

MALFORMED = "MALFORMED"


def read_command(args: Sequence[RawValue]) -> tuple[CommandEnvelope, Command]:
    """An update's command. Raises what pydantic raises, KeyError for a name this build does not know."""
    envelope = workflow.payload_converter().from_payload(args[0].payload, CommandEnvelope)
    return envelope, rules.parse_command(envelope)


def checked_command(name: str, args: Sequence[RawValue]) -> Command:
    """The same for an update that is not accepted yet. Raises the refusal MALFORMED."""
    try:
        envelope, command = read_command(args)
    except (ValidationError, KeyError, IndexError, AttributeError, RuntimeError):
        # The cause would quote what was sent, and a failure's causes travel further than its payloads.
        raise refusal(MALFORMED, "not a command of this build, or malformed; see the API's description") from None
    if envelope.name != name or name not in rules.COMMANDS:
        raise refusal(MALFORMED, "the update's name is not its command's, or not one that a person may send")
    return command


def is_safety(command: Command) -> bool:
    """Whether this is taken even while the log does not answer: it wakes somebody, or says that somebody is awake."""
    return urgent_tier(command) is not None or isinstance(command, AnswerPage)


def without_rules(command: Command) -> RefusedError:
    """The refusal of a command that no protocol can judge."""
    if isinstance(command, SubmitReferral):
        return RefusedError(Code.UNKNOWN_PROTOCOL, "this build has no such protocol")
    return RefusedError(Code.JOURNEY_NOT_OPEN, "submit a referral first")


def answer_of(journey_id: UUID, receipt: Receipt) -> CommandAnswer:
    """What a receipt says to whoever asked. Raises the refusal that the receipt keeps."""
    if receipt.refusal_code is not None:
        raise refusal(receipt.refusal_code, receipt.refusal_message or "")
    return CommandAnswer(
        journey_id=journey_id, command_id=receipt.command_id, sequence=receipt.last, events=receipt.types
    )
