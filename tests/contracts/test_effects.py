"""What every adapter promises, whatever the network does: one effect as the outside sees it, and an honest result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest

from activities.messaging import Mail, MessagingActivities, Relay
from activities.paging import Pager, PagingActivities
from activities.pdmp import Pdmp, PdmpActivities, PdmpReview
from activities.pharmacy import Pharmacy, PharmacyActivities
from activities.wire import OutsideUnavailableError
from domain.effects import (
    EffectCall,
    EffectRejected,
    EffectRequest,
    EffectResult,
    MessageAccepted,
    Paged,
    PageOnCall,
    PdmpAnswered,
    PrescriptionSent,
)
from runtime.http import http_client
from tests.contracts import requests
from tests.contracts.outside_world import MemoryClaims, Outside
from tests.outside.servers import free_port

REVIEW = PdmpReview(prescribers_min=2, exempt_rxnorm=frozenset({"6130"}))
SYSTEMS = ("pharmacy", "pdmp", "pager", "mail")
TIMEOUT_SECONDS = 0.5

Attempt = Callable[[EffectCall], Awaitable[EffectResult]]


@dataclass(frozen=True)
class Case:
    """One system: an activity that attempts, what it attempts, and what comes of it."""

    system: str
    attempt: Attempt
    request: EffectRequest
    outcome: type
    claims: MemoryClaims

    def key_seen(self, key: str) -> str:
        """The key as the system's own records have it."""
        return f"{key}@clinic.example" if self.system == "mail" else key


class Adapters:
    """The four adapters as a worker composes them."""

    def __init__(self, stack: AsyncExitStack, url: str, smtp_port: int) -> None:
        self._stack = stack
        self._url = url
        self._smtp_port = smtp_port

    async def case(self, system: str) -> Case:
        """Build the adapter for one system, with claims of its own."""
        client = await self._stack.enter_async_context(
            http_client(f"{self._url}/{system}", timeout_seconds=TIMEOUT_SECONDS)
        )
        claims = MemoryClaims()
        match system:
            case "pharmacy":
                attempt = PharmacyActivities(Pharmacy(client), claims).transmit_prescription
                return Case(system, attempt, requests.prescription(), PrescriptionSent, claims)
            case "pdmp":
                attempt = PdmpActivities(Pdmp(client, REVIEW), claims).query_pdmp
                return Case(system, attempt, requests.query(), PdmpAnswered, claims)
            case "pager":
                return Case(system, PagingActivities(Pager(client)).page_on_call, requests.page(), Paged, claims)
            case _:
                relay = Relay(
                    url=f"smtp://127.0.0.1:{self._smtp_port}",
                    sender="Care team <care@clinic.example>",
                    portal_url="https://portal.clinic.example",
                    timeout_seconds=TIMEOUT_SECONDS,
                )
                attempt = MessagingActivities(Mail(relay, client), claims).send_message
                return Case(system, attempt, requests.mail(), MessageAccepted, claims)


@pytest.fixture
async def adapters(outside: Outside) -> AsyncIterator[Adapters]:
    """Adapters at the simulators, closed after the test."""
    async with AsyncExitStack() as stack:
        yield Adapters(stack, outside.url, outside.smtp_port)


@pytest.mark.parametrize("system", SYSTEMS)
async def test_done_once(outside: Outside, adapters: Adapters, system: str) -> None:
    """In good weather one attempt is one effect, and says so."""
    case = await adapters.case(system)
    call = requests.call(case.request)
    result = await case.attempt(call)

    assert (call.key, False) == (result.key, result.was_sent_before)
    assert isinstance(result.outcome, case.outcome)
    assert 1 == await outside.took_effect(system, case.key_seen(call.key))


@pytest.mark.parametrize("system", SYSTEMS)
async def test_lost_acknowledgement(outside: Outside, adapters: Adapters, system: str) -> None:
    """After a lost answer the next attempt asks, and does not send again."""
    case = await adapters.case(system)
    call = requests.call(case.request)
    await outside.order(system, "drop_ack")

    with pytest.raises(OutsideUnavailableError):
        await case.attempt(call)
    result = await case.attempt(requests.call(case.request, key=call.key, attempt=2))

    assert result.was_sent_before
    assert isinstance(result.outcome, case.outcome)
    assert 1 == await outside.received(system, case.key_seen(call.key))


@pytest.mark.parametrize("system", SYSTEMS)
async def test_outage_then_success(outside: Outside, adapters: Adapters, system: str) -> None:
    """A 503 raises; the next attempt asks, finds nothing, and sends."""
    case = await adapters.case(system)
    call = requests.call(case.request)
    await outside.order(system, "error")

    with pytest.raises(OutsideUnavailableError):
        await case.attempt(call)
    result = await case.attempt(requests.call(case.request, key=call.key, attempt=2))

    assert result.was_sent_before is False
    assert 1 == await outside.took_effect(system, case.key_seen(call.key))


@pytest.mark.parametrize("system", SYSTEMS)
async def test_late_answer(outside: Outside, adapters: Adapters, system: str) -> None:
    """An answer that takes longer than we wait is an outage for this attempt, and an effect for the next."""
    case = await adapters.case(system)
    call = requests.call(case.request)
    await outside.order(system, "late", seconds=4 * TIMEOUT_SECONDS)

    with pytest.raises(OutsideUnavailableError, match="timeout"):
        await case.attempt(call)
    result = await case.attempt(requests.call(case.request, key=call.key, attempt=2))

    assert result.was_sent_before
    assert 1 == await outside.took_effect(system, case.key_seen(call.key))


@pytest.mark.parametrize("system", SYSTEMS)
async def test_lost_claims_do_no_harm(outside: Outside, adapters: Adapters, system: str) -> None:
    """When the claim is gone too, as after a restore, the idempotency key alone keeps the effect single."""
    case = await adapters.case(system)
    call = requests.call(case.request)
    first = await case.attempt(call)
    case.claims.keys.clear()
    second = await case.attempt(call)

    assert first.outcome == second.outcome
    assert 2 == await outside.received(system, case.key_seen(call.key))
    assert 1 == await outside.took_effect(system, case.key_seen(call.key))


@pytest.mark.parametrize("system", SYSTEMS)
async def test_unreachable_system_is_named_and_nothing_else(system: str) -> None:
    """With nobody listening the error names the system, and neither address, patient nor cause."""
    port = free_port()
    async with AsyncExitStack() as stack:
        case = await Adapters(stack, f"http://127.0.0.1:{port}", port).case(system)
        with pytest.raises(OutsideUnavailableError) as caught:
            await case.attempt(requests.call(case.request))

    assert (system, "no_connection") == (caught.value.system, caught.value.what)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert str(port) not in str(caught.value)


async def test_claim_comes_first(outside: Outside, adapters: Adapters) -> None:
    """When the claim cannot be written, nothing is sent."""

    class BrokenClaims(MemoryClaims):
        async def claim(self, key: str, journey_id: object) -> bool:
            raise ConnectionError

    async with http_client(f"{outside.url}/pharmacy", timeout_seconds=TIMEOUT_SECONDS) as client:
        call = requests.call(requests.prescription())
        with pytest.raises(ConnectionError):
            await PharmacyActivities(Pharmacy(client), BrokenClaims()).transmit_prescription(call)

    assert 0 == await outside.received("pharmacy", call.key)


async def test_prescription_is_rejected_for_good(adapters: Adapters) -> None:
    """More refills than Schedule III allows: the pharmacy's own code comes back as an outcome."""
    case = await adapters.case("pharmacy")
    result = await case.attempt(requests.call(requests.prescription(refills=6)))

    assert EffectRejected(code="900:Body.NewRx.MedicationPrescribed.NumberOfRefills:less_than_equal") == result.outcome


async def test_query_is_rejected_for_good(adapters: Adapters) -> None:
    """A requester who is none: the OperationOutcome's code, not its prose."""
    case = await adapters.case("pdmp")
    result = await case.attempt(requests.call(requests.query(npi="nobody")))

    assert EffectRejected(code="invalid") == result.outcome


async def test_page_raised_by_whoever_was_faster_counts(outside: Outside, adapters: Adapters) -> None:
    """The API and the escalation may both page for one case, a moment apart: it rings once, and both know of it."""
    case = await adapters.case("pager")
    call = requests.call(case.request)
    first = await case.attempt(call)
    assert isinstance(case.request, PageOnCall)
    later = case.request.model_copy(update={"raised_at": case.request.raised_at + timedelta(seconds=2)})
    second = await case.attempt(requests.call(later, key=call.key))

    assert first.outcome == second.outcome
    assert 1 == await outside.took_effect("pager", call.key)


async def test_reused_page_key_is_rejected(adapters: Adapters) -> None:
    """Another page under the same key is a bug that a person must hear of."""
    case = await adapters.case("pager")
    call = requests.call(case.request)
    await case.attempt(call)
    result = await case.attempt(requests.call(requests.page(), key=call.key))

    assert EffectRejected(code="http_409") == result.outcome


@pytest.mark.parametrize(
    "to",
    ["zaphod@example.org\nBcc: all@example.org", "not an address", "a@example.org,b@example.org", "<a@example.org>"],
)
async def test_malformed_address_is_rejected(outside: Outside, adapters: Adapters, to: str) -> None:
    """What is not one plain address is refused for good, and nobody gets a mail."""
    case = await adapters.case("mail")
    call = requests.call(requests.mail(to=to))
    result = await case.attempt(call)

    assert EffectRejected(code="address_malformed") == result.outcome
    assert 0 == await outside.received("mail", case.key_seen(call.key))


async def test_page_goes_out_though_the_pager_cannot_say_what_it_did(outside: Outside, adapters: Adapters) -> None:
    """When the question fails, the page is sent again all the same: twice asked for, once rung."""
    case = await adapters.case("pager")
    call = requests.call(case.request)
    await outside.order("pager", "drop_ack")
    await outside.order("pager", "error")

    with pytest.raises(OutsideUnavailableError):
        await case.attempt(call)
    result = await case.attempt(requests.call(case.request, key=call.key, attempt=2))

    assert isinstance(result.outcome, Paged)
    assert 2 == await outside.received("pager", call.key)
    assert 1 == await outside.took_effect("pager", call.key)


async def test_wrong_request_is_a_bug(adapters: Adapters) -> None:
    """A call that was routed to the wrong activity raises before anything is sent."""
    case = await adapters.case("pager")

    with pytest.raises(TypeError, match="PageOnCall"):
        await case.attempt(requests.call(requests.prescription()))
