"""What can go wrong with a request, as a status and a JSON error."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from ..errors import BackendError, ImageTooLargeError, InputError, MobileSAMError

LONGEST = 500
"""Characters of a message: errors that quote what they got shouldn't send it all back."""
RETRY = {"retry-after": "1"}
CLIENT_GONE = 499
"""Nobody hears it; it stands in the log."""


class Problem(Exception):  # noqa: N818  # not an error of the program
    """An answer other than the wanted one."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, dict(headers or {})

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON error."""
        return {"error": {"type": self.kind, "message": str(self)[:LONGEST]}}

    def response(self) -> Response:
        """The whole answer."""
        return Response(json.dumps(self.body()), self.status, self.headers, "application/json")


def of(error: MobileSAMError) -> Problem:
    """One of the package's errors as an answer: what the caller passed is 413 or 422, a runtime's failure 503."""
    if isinstance(error, ImageTooLargeError):
        return too_large(str(error))
    if isinstance(error, InputError):
        return Problem(422, type(error).__name__, str(error))
    if isinstance(error, BackendError):
        return worker_failed()
    return Problem(500, "Internal", "The server failed in an unforeseen way; its log has the request's id.")


def too_large(message: str) -> Problem:
    """413"""
    return Problem(413, "TooLarge", message)


def worker_failed() -> Problem:
    """503: the message of what failed stays in here, it may tell of other requests."""
    return Problem(503, "WorkerFailed", "The computation failed; try again, or look into the server's log.", RETRY)


def busy(what: str) -> Problem:
    """503"""
    return Problem(503, "Busy", f"{what}; try again in a moment.", RETRY)


def timed_out(seconds: float) -> Problem:
    """504"""
    return Problem(504, "TimedOut", f"No answer within {seconds:g} s; ask for less, or try again later.", RETRY)


def client_gone() -> Problem:
    """The client has hung up."""
    return Problem(CLIENT_GONE, "ClientGone", "The client closed the connection.")


def not_found() -> Problem:
    """404 for embeddings: of another client, expired and never there look the same."""
    return Problem(404, "NotFound", "No such embedding (any more); send the picture to /v1/embeddings again.")
