"""Files that people write, read with a bound."""

from __future__ import annotations

import glob
import stat
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.formats import caps

if TYPE_CHECKING:
    from pathlib import Path


def text_of(path: Path, hint: str = "create it with: watchroom build DIR") -> str:
    """Return the text of a file.

    Raises:
        ConfigError: It is missing, no regular file (a pipe would never end), larger
            than `caps.MOST_BYTES`, not readable, or not UTF-8.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("isn't a file", file=path)
        caps.bytes_within(status.st_size, path)
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError("is missing", file=path, hint=hint) from error
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("isn't UTF-8 text", file=path, line=line) from error


def matching(root: Path, pattern: str) -> list[Path]:
    """Return the files that `pattern` names below `root`, sorted."""
    return [root / name for name in sorted(glob.glob(pattern, root_dir=root))]  # noqa: PTH207 - of a pattern whose folders may hold wildcards too
