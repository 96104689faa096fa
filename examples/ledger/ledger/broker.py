"""kombu's filesystem broker, with messages that appear whole or not at all."""

import tempfile
import uuid
from pathlib import Path
from time import time_ns

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel that publishes by renaming a finished file into the folder.

    kombu creates the file first and writes it after; a worker that looks in
    between takes an empty message and dies of it.
    """

    def _put(self, queue, payload, **_options):
        folder = Path(self.data_folder_out)
        try:
            with tempfile.NamedTemporaryFile(
                dir=folder, suffix=".new", delete=False
            ) as file:
                file.write(dumps(payload).encode())
            # The worker takes files in the order of their names.
            name = f"{time_ns()}_{uuid.uuid4()}.{queue}.msg"
            Path(file.name).replace(folder / name)
        except OSError as error:
            raise ChannelError(f"cannot add a message to {folder}") from error


class Transport(filesystem.Transport):
    """The `filesystem` transport over that channel."""

    Channel = Channel
