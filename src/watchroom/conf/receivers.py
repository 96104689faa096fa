"""RECEIVERS and HEARTBEAT: who is notified of alerts, and who gets the heartbeat."""

from typing import NamedTuple

from watchroom.conf.values import (
    PRIORITIES,
    SEVERITIES,
    check_keys,
    http_url,
    loopback,
    mapping,
    one_of,
    secret_name,
    text,
    wrong,
)

KINDS = ("webhook", "slack", "pagerduty", "email")
RESERVED = ("blackhole", "drill", "heartbeat")
_COMMON = ("kind", "severity", "priority", "environments")
_KEYS = {
    "webhook": ("url", "secret", "public"),
    "slack": ("url", "secret", "channel"),
    "pagerduty": ("secret", "url"),
    "email": ("to", "from", "smarthost", "username", "secret", "tls", "ca"),
}
_CLEAR = (
    "put it into a file under secrets/ and write 'secret': NAME; or add "
    "'public': True if it is not a secret"
)


class Receiver(NamedTuple):
    """One receiver of alerts.

    Attributes:
        name: Its key in RECEIVERS.
        url: The address in clear (loopback, or declared public); empty without one.
        secret: The name under ``secrets/`` that holds the address, PagerDuty's routing
            key or the mail server's password; empty without one.
        severities: Which severities reach it by themselves; empty: only when called.
        priorities: Which of their priorities do; empty is all, also of rules without
            one.
        kind: One of `KINDS`.
        environments: Those it is notified of; empty means all.
        channel: Slack's.
        to: Addresses of mail.
        sender: Its From.
        smarthost: ``host:port`` of the mail server.
        username: For the mail server.
        tls: Whether the mail server has to offer TLS.
        ca: A file of certificates to believe the mail server by; empty for none.
    """

    name: str
    url: str = ""
    secret: str = ""
    severities: tuple[str, ...] = ("critical", "warning")
    priorities: tuple[str, ...] = ()
    kind: str = "webhook"
    environments: tuple[str, ...] = ()
    channel: str = ""
    to: tuple[str, ...] = ()
    sender: str = ""
    smarthost: str = ""
    username: str = ""
    tls: bool = True
    ca: str = ""


def receiver(name: str, value: object) -> Receiver:
    """Return one entry of RECEIVERS.

    Raises:
        ConfigError: A key or value is wrong.
    """
    field = f"RECEIVERS.{name}"
    if name in RESERVED:
        raise wrong(field, "is a reserved name", "choose another name")
    options = mapping(value, field)
    kind = text(options, "kind", f"{field}.kind") or "webhook"
    if kind not in KINDS:
        raise wrong(
            f"{field}.kind", f"{kind!r} isn't a kind of receiver", one_of(KINDS)
        )
    check_keys(options, (*_COMMON, *_KEYS[kind]), field)
    # PagerDuty wakes people: only what is critical, only in production.
    pager = kind == "pagerduty"
    severities = _words(
        options, field, "severity", SEVERITIES[:1] if pager else SEVERITIES, SEVERITIES
    )
    priorities = _words(options, field, "priority", (), PRIORITIES)
    where = options.get("environments", ("production",) if pager else ())
    configured = Receiver(
        name,
        # Empty: notified only when contacts.yml escalates to it.
        severities=severities,
        priorities=priorities,
        kind=kind,
        environments=_texts(where, f"{field}.environments", "a list of environments"),
    )
    if kind == "email":
        return _email(configured, options, field)
    if kind == "pagerduty":
        return _pagerduty(configured, options, field)
    url, secret = _address(options, field)
    channel = text(options, "channel", f"{field}.channel")
    return configured._replace(url=url, secret=secret, channel=channel)


def heartbeat(value: object) -> Receiver:
    """Return HEARTBEAT: the name of a secret, or a URL as in RECEIVERS.

    Raises:
        ConfigError: A key or value is wrong.
    """
    field = "HEARTBEAT"
    if isinstance(value, str):
        value = {"url" if "://" in value else "secret": value}
    options = mapping(value, field)
    check_keys(options, ("url", "secret", "public"), field)
    url, secret = _address(options, field)
    return Receiver("heartbeat", url, secret, severities=())


def _address(options: dict[object, object], field: str) -> tuple[str, str]:
    """Return the URL or the name of the secret that holds it; the other is empty."""
    url, secret = options.get("url"), options.get("secret")
    if (url is None) == (secret is None):
        raise wrong(field, "needs exactly one of 'url' and 'secret'")
    if secret is not None:
        return "", secret_name(secret, f"{field}.secret")
    url = http_url(url, f"{field}.url")
    if not loopback(url) and options.get("public") is not True:
        raise wrong(
            f"{field}.url",
            "would be written in plain text into generated files",
            _CLEAR,
        )
    return url, ""


def _pagerduty(
    configured: Receiver, options: dict[object, object], field: str
) -> Receiver:
    if options.get("secret") is None:
        raise wrong(
            f"{field}.secret",
            "is missing",
            "give the name of the file under secrets/ with the integration's "
            "routing key",
        )
    url = options.get("url")
    return configured._replace(
        url="" if url is None else http_url(url, f"{field}.url"),
        secret=secret_name(options["secret"], f"{field}.secret"),
    )


def _email(configured: Receiver, options: dict[object, object], field: str) -> Receiver:
    to = _texts(options.get("to", ()), f"{field}.to", "a list of addresses")
    sender = text(options, "from", f"{field}.from")
    for key, addresses in (("to", to), ("from", (sender,))):
        if not addresses or any("@" not in address for address in addresses):
            raise wrong(
                f"{field}.{key}", "isn't an e-mail address", "write 'ops@example.com'"
            )
    smarthost = text(options, "smarthost", f"{field}.smarthost")
    host, colon, port = smarthost.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise wrong(
            f"{field}.smarthost", "isn't host:port", "write 'smtp.example.com:587'"
        )
    username = text(options, "username", f"{field}.username")
    secret = options.get("secret")
    if bool(username) != (secret is not None):
        raise wrong(
            field,
            "'username' and 'secret' need each other",
            "set both; 'secret' is the name of the file under secrets/ with "
            "the password",
        )
    tls = options.get("tls", not loopback(f"smtp://{smarthost}"))
    if not isinstance(tls, bool):
        raise wrong(f"{field}.tls", "must be True or False")
    if username and not tls and not loopback(f"smtp://{smarthost}"):
        raise wrong(f"{field}.tls", "is off: the password would be sent unencrypted")
    return configured._replace(
        secret="" if secret is None else secret_name(secret, f"{field}.secret"),
        to=to,
        sender=sender,
        smarthost=smarthost,
        username=username,
        tls=tls,
        ca=text(options, "ca", f"{field}.ca"),
    )


def _words(
    options: dict[object, object],
    field: str,
    key: str,
    default: tuple[str, ...],
    known: tuple[str, ...],
) -> tuple[str, ...]:
    field, what = f"{field}.{key}", f"a list of {key.removesuffix('y')}ies"
    words = _texts(options.get(key, default), field, what)
    if any(word not in known for word in words):
        raise wrong(field, f"isn't {what}", one_of(known))
    return words


def _texts(value: object, field: str, what: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple) or not all(
        isinstance(item, str) for item in value
    ):
        raise wrong(field, f"isn't {what}")
    return tuple(value)
