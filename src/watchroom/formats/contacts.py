"""local/contacts.yml: who is on call, how to reach them, and who is next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchroom.errors import ConfigError
from watchroom.formats import yamlfile
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Collection

PATH = "local/contacts.yml"
_STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True}
_LONGEST_NAME = 80


class Contact(msgspec.Struct, **_STRICT):
    """One person, or a group that answers as one.

    Attributes:
        name: How people sign here.
        receivers: Names of receivers of alertmanager.yml that notify them.
        role: In words: "incident commander", "support".
        reach: In words, for people: "+49 30 …", "#war-room".
    """

    name: str
    receivers: list[str] = []
    role: str = ""
    reach: str = ""


class Contacts(msgspec.Struct, **_STRICT):
    """A contacts.yml.

    Attributes:
        contacts: Everybody who may acknowledge.
        escalation: Names in the order in which a P1 pages them; by default all
            who have a receiver, in the order of the file.
        repeat: How often an unacknowledged P1 is sent again.
        escalate_after: After how long without an acknowledgement the next is paged.
        ack_timeout: After how long an acknowledged P1 that still fires asks for an
            answer again; 0 is never.
    """

    contacts: list[Contact] = []
    escalation: list[str] = []
    repeat: str = "5m"
    escalate_after: str = "10m"
    ack_timeout: str = "30m"

    @property
    def repeat_ms(self) -> int:
        """`repeat` in milliseconds."""
        return round(parse_duration(self.repeat) * 1000)

    @property
    def escalate_ms(self) -> int:
        """`escalate_after` in milliseconds."""
        return round(parse_duration(self.escalate_after) * 1000)

    @property
    def ack_timeout_ms(self) -> int:
        """`ack_timeout` in milliseconds; 0 is never."""
        return round(parse_duration(self.ack_timeout) * 1000)

    def named(self, name: str) -> Contact | None:
        """Return the contact of that name; case does not matter."""
        folded = name.strip().casefold()
        for contact in self.contacts:
            if contact.name.casefold() == folded:
                return contact
        return None

    def behind(self) -> dict[str, str]:
        """Return receiver → the names of those it reaches; only of those with any."""
        names_by_receiver: dict[str, list[str]] = {}
        for contact in self.contacts:
            for receiver in contact.receivers:
                names_by_receiver.setdefault(receiver, []).append(contact.name)
        return {
            receiver: ", ".join(names) for receiver, names in names_by_receiver.items()
        }

    def order(self, first: str = "") -> list[Contact]:
        """Return who is paged for a P1, in order.

        Args:
            first: Who is paged before all others, and after whom the order continues;
                contacts without receivers are left out.
        """
        escalation = map(self.named, self.escalation)
        order = [contact for contact in escalation if contact is not None]
        if not self.escalation:
            order = [contact for contact in self.contacts if contact.receivers]
        begin = self.named(first)
        if begin is None or not begin.receivers:
            return order
        at = order.index(begin) if begin in order else len(order)
        return [begin, *order[at + 1 :], *order[:at]]


def load(text: str, file: str, receivers: Collection[str]) -> Contacts:
    """Return the contacts in `text`.

    Raises:
        ConfigError: It is not YAML, a key is unknown, a name appears twice or is not
            known, a duration does not parse; with file, line and field.
    """
    loaded, node = yamlfile.read(text, file, Contacts)
    with yamlfile.placed(node, file):
        _check_contacts(loaded, receivers)
        _check_escalation(loaded)
        for name in ("repeat", "escalate_after"):
            with yamlfile.within(name):
                _check_duration(getattr(loaded, name))
        with yamlfile.within("ack_timeout"):
            parse_duration(loaded.ack_timeout)
    return loaded


def _check_contacts(loaded: Contacts, receivers: Collection[str]) -> None:
    seen: set[str] = set()
    for i, contact in enumerate(loaded.contacts):
        field = f"contacts[{i}]"
        name = contact.name.strip()
        if not name or name != contact.name or len(name) > _LONGEST_NAME:
            raise ConfigError(
                f"{contact.name!r} isn't a valid name",
                field=f"{field}.name",
                hint=f"use 1 to {_LONGEST_NAME} characters, without spaces at "
                "either end",
            )
        if name.casefold() in seen:
            raise ConfigError(f"two contacts are named {name!r}", field=f"{field}.name")
        seen.add(name.casefold())
        for j, receiver in enumerate(contact.receivers):
            if receiver not in receivers:
                raise ConfigError(
                    f"no receiver is named {receiver!r}",
                    field=f"{field}.receivers[{j}]",
                    hint=f"known receivers: {', '.join(sorted(receivers)) or 'none'}",
                )


def _check_escalation(loaded: Contacts) -> None:
    names = ", ".join(contact.name for contact in loaded.contacts) or "none"
    for i, name in enumerate(loaded.escalation):
        contact = loaded.named(name)
        field = f"escalation[{i}]"
        if contact is None:
            raise ConfigError(
                f"no contact is named {name!r}",
                field=field,
                hint=f"known contacts: {names}",
            )
        if not contact.receivers:
            raise ConfigError(
                f"{name} has no receivers, so {name} can't be notified",
                field=field,
                hint=f"add receivers: [NAME] to the contact {name}",
            )
        if name in loaded.escalation[:i]:
            raise ConfigError(f"{name!r} is listed twice", field=field)


def _check_duration(text: str) -> None:
    if parse_duration(text) <= 0:
        raise ConfigError("must be longer than 0", hint="write 5m")
