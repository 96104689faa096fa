"""Which version of the project runs, read from its environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The first that is set wins: said to us, to Sentry, by the platform that built it.
VARIABLES = (
    "WATCHROOM_RELEASE",
    "SENTRY_RELEASE",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "SOURCE_VERSION",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "CIRCLE_SHA1",
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "GAE_DEPLOYMENT_ID",
    "K_REVISION",
)
_MOST = 200
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def detect(env: Mapping[str, str], start: Path) -> str:
    """Return the release, or an empty text when it is unknown.

    Args:
        env: The environment.
        start: Where to look for a git work tree, upwards.
    """
    for name in VARIABLES:
        value = env.get(name, "").strip()
        if value:
            return "".join(filter(str.isprintable, value))[:_MOST]
    try:
        return _git_head(start)
    except (OSError, ValueError):
        return ""


def _git_head(start: Path) -> str:
    for folder in (start, *start.parents):
        git = folder / ".git"
        if git.is_file():  # a linked work tree, or a submodule
            git = folder / git.read_text().removeprefix("gitdir:").strip()
        if not (git / "HEAD").is_file():
            continue
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head if _SHA.fullmatch(head) else ""
        return _ref(git, head.removeprefix("ref:").strip())
    return ""


def _ref(git: Path, name: str) -> str:
    directories = [git]
    if (git / "commondir").is_file():
        directories.append(git / (git / "commondir").read_text().strip())
    for directory in directories:
        if (directory / name).is_file():
            sha = (directory / name).read_text().strip()
            return sha if _SHA.fullmatch(sha) else ""
        if (directory / "packed-refs").is_file():
            for line in (directory / "packed-refs").read_text().splitlines():
                sha, _, ref = line.partition(" ")
                if ref == name and _SHA.fullmatch(sha):
                    return sha
    return ""
