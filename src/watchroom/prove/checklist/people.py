"""Receivers and contacts, and whether test messages reached them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.formats import contacts as contacts_file
from watchroom.formats.reading import text_of
from watchroom.prove.checklist.world import Finding, green, named, red, unclear
from watchroom.prove.receivers import reach
from watchroom.prove.records import PASSED

if TYPE_CHECKING:
    from watchroom.formats.contacts import Contacts
    from watchroom.prove.checklist.world import World

_DAYS = 30
_WAKE_DAYS = 90


def integrations(world: World) -> Finding:
    """Each receiver accepted a [DRILL] message lately, and the last one."""
    names = world.built.manifest.receivers
    if not names:
        return red(
            "RECEIVERS is empty: no alert notifies anybody",
            "set WATCHROOM = {'RECEIVERS': {'ops': {…}}, …}, then build",
        )
    refused, untried, took = [], [], []
    by_name = world.built.config.receivers_by_name
    for name in names:
        record = world.record("receiver", name)
        at = world.passed_within("receiver", name, _DAYS)
        receiver = by_name.get(name)
        mark = reach.mark(receiver, world.built.directory) if receiver else ""
        if record is None or not record.result.of.startswith(mark):
            untried.append(name)
        elif at is not None:
            took.append(f"{name} {world.ago(at)}")
        elif record.result.state != PASSED:
            refused.append(f"{name}: {record.result.detail}")
        else:
            untried.append(name)
    if refused:
        return red(
            f"the last test message was refused: {named(refused, 2)}",
            "correct the receiver's secret or address, then run: "
            f"{world.command('drill', '--all')}",
        )
    if untried:
        return red(
            f"no test message has reached {named(untried)} with the current settings "
            f"in {_DAYS} days",
            f"send one through each receiver: {world.command('drill', '--all')}",
        )
    return green(f"accepted a test message: {named(took)}")


def on_call(world: World) -> Finding:
    """contacts.yml is valid, and a contact has acknowledged a test page."""
    contacts = _contacts(world)
    if isinstance(contacts, Finding):
        return contacts
    order = [contact.name for contact in contacts.order()]
    if not order:
        return red(
            f"no contact in {contacts_file.PATH} has a receiver",
            "add receivers: [NAME] to a contact",
        )
    listed = f"escalation order: {named(order)}"
    woken = _woken(world, [contact.name for contact in contacts.contacts])
    if not woken:
        return red(
            f"{listed}; nobody has acknowledged a test page in the last "
            f"{_WAKE_DAYS} days",
            world.command("drill", "--wake", order[0]),
        )
    return green(f"{listed}; {named(list(woken.values()))}")


def team(world: World) -> Finding:
    """Software sees only who acknowledged a test page."""
    contacts = _contacts(world)
    known = () if isinstance(contacts, Finding) else contacts.contacts
    names = [contact.name for contact in known]
    woken = _woken(world, names)
    missing = [name for name in names if name not in woken]
    pages = named(list(woken.values())) or "nobody has acknowledged a test page yet"
    if names and not missing:
        return green(f"every contact has acknowledged a test page: {pages}")
    return unclear(
        f"{pages}; software can't tell whether people can read the dashboards",
        world.command("drill", "--wake", missing[0])
        if missing
        else f"list the team in {contacts_file.PATH}; then run: "
        + world.command("drill", "--wake", "NAME"),
    )


def _contacts(world: World) -> Contacts | Finding:
    path = world.built.directory / contacts_file.PATH
    if not path.exists():
        return red(
            f"{path} is missing: nobody is on call",
            "create it: contacts: [{name: Ann, receivers: [ops]}]",
        )
    receivers = [receiver.name for receiver in world.built.config.receivers]
    try:
        return contacts_file.load(text_of(path), str(path), receivers)
    except ConfigError as error:
        return red(str(error), "correct this line")


def _woken(world: World, names: list[str]) -> dict[str, str]:
    """Return who acknowledged a test page lately, with what was measured."""
    acknowledged = {}
    for name in names:
        at = world.passed_within("wake", name, _WAKE_DAYS)
        record = world.record("wake", name)
        if at is not None and record is not None:
            acknowledged[name] = f"{name} {record.result.detail}, {world.ago(at)}"
    return acknowledged
