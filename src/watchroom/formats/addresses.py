"""URLs and mail hosts of configuration files, checked as the servers check them."""

from __future__ import annotations

from urllib.parse import urlsplit

from watchroom.errors import ConfigError, NotSupportedError


def check_url(text: str, field: str) -> None:
    """Refuse an address that cannot be called; an empty one is in a file.

    Raises:
        ConfigError: It has no host, or is not http or https. The address may be a
            secret: the error does not name it.
    """
    if not text:
        return
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.netloc)
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            "isn't a valid URL", field=field, hint="write it as https://host/path"
        )


def check_host_port(text: str) -> None:
    """Refuse a smarthost that is not host:port.

    Raises:
        ConfigError: It is not one.
        NotSupportedError: Its port is a name, or its host is empty.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and port) or (":" in host and not host.startswith("[")):
        raise ConfigError("smarthost isn't host:port", field="smarthost")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise NotSupportedError(
            "smarthost needs a host and a port number",
            field="smarthost",
            hint="write it as mail.example.org:587",
        )
