"""Checks of the test project: what files in a directory say."""

import os
import time
from pathlib import Path

import watchroom

FLAGS = Path(os.environ.get("TESTS_APP_FLAGS", "/nonexistent"))


@watchroom.health_check("disk", timeout="500ms", ttl="0s")
def disk():
    if (FLAGS / "raise").exists():
        raise RuntimeError("the secret is hunter2")
    if (FLAGS / "hang").exists():
        time.sleep(30)
    return not (FLAGS / "false").exists()


@watchroom.health_check("mail", hard=False, ttl="0s")
def mail():
    return not (FLAGS / "mail").exists()
