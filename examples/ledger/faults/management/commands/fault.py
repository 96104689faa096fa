"""Turn faults on and off from the command line."""

from django.core.management.base import BaseCommand, CommandError

from faults.switches import FAULTS, BadSettingError, switches


class Command(BaseCommand):
    help = (
        "Show the faults that are on; `fault errors 30%` turns one on, "
        "`fault errors off` turns it off, `fault clear` all of them."
    )

    def add_arguments(self, parser):
        parser.add_argument("name", nargs="?", choices=[*FAULTS, "clear"])
        parser.add_argument(
            "setting", nargs="*", help='"30%%", "2s", "10%% 2s", "on" or "off"'
        )

    def handle(self, *, name, setting, **_options):
        if name == "clear":
            switches.clear()
        elif name:
            try:
                switches.change({name: " ".join(setting) or "on"})
            except BadSettingError as error:
                raise CommandError(str(error)) from error
        current = switches.current()
        for fault in FAULTS.values():
            state = str(current[fault.name]) if fault.name in current else "off"
            self.stdout.write(f"{fault.name:<17} {state:<10} {fault.does}")
