"""`manage.py watchroom …` is `watchroom …` with the project's settings found."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Hands its words to the `watchroom` command line."""

    help = (
        "Run watchroom's commands with this project's settings (see: watchroom --help)."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take every word as it is."""
        parser.add_argument("words", nargs=REMAINDER)

    def run_from_argv(self, argv: list[str]) -> None:
        """Become `watchroom`, in a process that has never set Django up.

        So a monitor started here holds nothing of the project. The settings module that
        manage.py chose is in the environment, its directory goes along on the path.
        """
        here = os.path.abspath(sys.path[0] or ".")  # noqa: PTH100 - sys.path has strings
        path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
        sys.stdout.flush()
        sys.stderr.flush()
        words = [sys.executable, "-m", "watchroom", *argv[2:]]
        os.execv(sys.executable, words)  # noqa: S606 - ourselves, no shell

    def handle(self, *args: Any, **options: Any) -> None:
        """Run in this process, for `call_command("watchroom", "build", "DIR")`."""
        del args
        from watchroom.cli import watchroom

        watchroom.main(
            args=[str(word) for word in options["words"]], standalone_mode=False
        )
