"""JSON over HTTP, with errors that name the peer and never a secret."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from watchroom.errors import WatchroomError
from watchroom.messages.network import reason
from watchroom.messages.scrub import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_ANSWER = 32 << 20
_PATIENCE_SECONDS = 10.0
# A peer that sends a byte now and then never reaches a socket's time-out.
_WHOLE_ANSWER = 3


class PeerError(WatchroomError):
    """A peer did not answer, or answered with an error.

    Attributes:
        status: The HTTP status, or None when there was no answer.
        refused: Whether the connection was refused; no answer may be a firewall.
    """

    def __init__(
        self, message: str, status: int | None = None, *, refused: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.refused = refused


class Reply(NamedTuple):
    """What a peer answered, whatever the status.

    Attributes:
        status: HTTP's.
        body: Its text, as far as it was read.
        url: Where it came from in the end.
    """

    status: int
    body: str
    url: str

    @property
    def ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == HTTPStatus.OK

    def json(self) -> Any:
        """Return its JSON, or None when it isn't JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Answer with the redirect itself."""
        return


@cache
def _opener(*, follow: bool) -> urllib.request.OpenerDirector:
    # Making one reads the machine's certificates: 70 ms, more than most answers take.
    return urllib.request.build_opener(*(() if follow else (_Stay,)))


def fetch(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    method: str | None = None,
    follow: bool = True,
    seconds: float = 0.0,
) -> Reply:
    """Return what `url` answers, an error status too.

    Args:
        url: The URL.
        headers: Request headers.
        data: The body, of a POST by default.
        method: Overrides GET, or POST with data.
        follow: Whether to follow a redirect, or return it.
        seconds: Time-out of each read; the whole answer may take three times that.

    Raises:
        PeerError: It can't be reached.
    """
    seconds = seconds or _PATIENCE_SECONDS
    answer: Future[Reply] = Future()

    def work() -> None:
        try:
            request = urllib.request.Request(  # noqa: S310 - the user's own servers
                url, data=data, headers=dict(headers or {}), method=method
            )
            answer.set_result(_asked(request, seconds, follow=follow))
        except Exception as error:  # noqa: BLE001 - the asker gets it
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds * _WHOLE_ANSWER)
    except TimeoutError:
        raise PeerError(
            f"{origin(url)} did not finish its answer within "
            f"{seconds * _WHOLE_ANSWER:g} s"
        ) from None
    except (ValueError, http.client.InvalidURL):
        # What they say quotes the address, which may be a secret.
        raise PeerError("the URL is not valid") from None


def _asked(request: urllib.request.Request, seconds: float, *, follow: bool) -> Reply:
    url = request.full_url
    where = origin(url)
    try:
        with _opener(follow=follow).open(request, timeout=seconds) as answer:
            body = answer.read(_LARGEST_ANSWER).decode(errors="replace")
            return Reply(answer.status, body, answer.url)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read(65536).decode(errors="replace"), url)
    except OSError as error:
        inner = getattr(error, "reason", error)
        raise PeerError(
            f"can't reach {where}: {reason(error)}",
            refused=isinstance(inner, ConnectionRefusedError),
        ) from None
    except http.client.InvalidURL:
        raise
    except http.client.HTTPException as error:
        raise PeerError(
            f"{where} does not speak HTTP: {type(error).__name__}"
        ) from None


def get(url: str, query: dict[str, str] | None = None, *, token: str = "") -> Any:
    """Return the JSON at `url`.

    Raises:
        PeerError: No answer, an error status, or no JSON.
    """
    if query:
        url = f"{url}?{urlencode(query, quote_via=quote)}"
    return _json(fetch(url, headers=bearer(token)))


def post(url: str, body: Any, *, token: str = "") -> Any:
    """Post `body` as JSON and return the JSON answered, or None when it is empty.

    Raises:
        PeerError: No answer, or an error status.
    """
    headers = {"Content-Type": "application/json", **bearer(token)}
    data = json.dumps(body).encode()
    return _json(fetch(url, headers=headers, data=data), needed=False)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token, or none."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _json(reply: Reply, *, needed: bool = True) -> Any:
    where = origin(reply.url)
    if not 200 <= reply.status < 300:
        text = reply.body[:500].strip()
        message = f"{where} answered {reply.status}" + (f": {text}" if text else "")
        raise PeerError(message, reply.status)
    try:
        return json.loads(reply.body)
    except ValueError:
        if needed:
            raise PeerError(f"{where} did not answer with JSON") from None
        return None
