"""NCPDP SCRIPT-*style* messages, as JSON.

The SCRIPT schemas are licensed to NCPDP members, so nothing here is taken from them: element names follow common
knowledge of the standard, types and codes are ours, and only what this pharmacy needs to fill a prescription is
checked. Unknown elements are kept and ignored, as a counterpart of another version would do.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

ACCEPTED = "000"
VERIFIED = "010"
CANNOT_PROCESS = "601"
REJECTED = "900"

Text = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class Element(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class Header(Element):
    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,140}$")] = Field(alias="MessageID")
    sent_time: AwareDatetime
    sender: Text = Field(alias="From")
    recipient: Text = Field(alias="To")
    relates_to_message_id: Text | None = Field(default=None, alias="RelatesToMessageID")


class On(Element):
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Name(Element):
    last_name: Text
    first_name: Text


class PostalAddress(Element):
    address_line1: Text = Field(alias="AddressLine1")
    city: Text
    state_province: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    postal_code: Annotated[str, StringConstraints(pattern=r"^\d{5}(-\d{4})?$")]


class HumanPatient(Element):
    name: Name
    date_of_birth: On
    address: PostalAddress


class Patient(Element):
    human_patient: HumanPatient


class PrescriberIdentification(Element):
    npi: Annotated[str, StringConstraints(pattern=r"^\d{10}$")] = Field(alias="NPI")
    dea_number: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}\d{7}$")] = Field(alias="DEANumber")


class NonVeterinarian(Element):
    identification: PrescriberIdentification


class Prescriber(Element):
    non_veterinarian: NonVeterinarian


class Quantity(Element):
    value: int = Field(ge=1)


class Sig(Element):
    sig_text: Text


class MedicationPrescribed(Element):
    """The pharmacy compounds Schedule III drugs only, hence at most five refills (21 CFR 1306.22)."""

    drug_description: Text
    quantity: Quantity
    written_date: On
    number_of_refills: int = Field(ge=0, le=5)
    sig: Sig


class NewRx(Element):
    patient: Patient
    prescriber: Prescriber
    medication_prescribed: MedicationPrescribed


class Body(Element):
    new_rx: NewRx | None = None
    cancel_rx: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _holds_one_message(self) -> Body:
        if (self.new_rx is None) == (self.cancel_rx is None):
            raise PydanticCustomError("one_of_new_rx_cancel_rx", "Send exactly one of NewRx and CancelRx.")
        return self


class Message(Element):
    header: Header
    body: Body

    @model_validator(mode="after")
    def _cancel_names_its_prescription(self) -> Message:
        if self.body.cancel_rx is not None and self.header.relates_to_message_id is None:
            raise PydanticCustomError("relates_to_message_id_missing", "CancelRx must name the NewRx it cancels.")
        return self


class MessageError(Exception):
    """The pharmacy refuses a message for good. ``description_code`` says where and why, never with the content."""

    def __init__(self, code: str, description_code: str) -> None:
        super().__init__(f"{code} {description_code}")
        self.code = code
        self.description_code = description_code

    def answer(self) -> dict[str, Any]:
        return {"Body": {"Error": {"Code": self.code, "DescriptionCode": self.description_code}}}


def read_message(body: bytes, idempotency_key: str | None) -> Message:
    """Read the message in ``body``. Raises MessageError: 900 for a bad prescription, 601 for anything else.

    The description code is ``<element path>:<reason>``, e.g.
    ``Body.NewRx.MedicationPrescribed.NumberOfRefills:less_than_equal``.
    """
    try:
        message = Message.model_validate_json(body)
    except ValidationError as e:
        first = e.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        code = REJECTED if path.startswith("Body.NewRx") else CANNOT_PROCESS
        raise MessageError(code, f"{path or 'Message'}:{first['type']}") from None
    if idempotency_key != message.header.message_id:
        raise MessageError(CANNOT_PROCESS, "Idempotency-Key:must_equal_message_id")
    return message
