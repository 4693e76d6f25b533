"""Every error of the service in OpenAI's shape, so that its client understands it."""

from typing import Any


class ServiceError(Exception):
    """An answer that is an error: {"error": {"message", "type", "param", "code"}}."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ):
        """Keep HTTP status, message for people, and code for programs."""
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body: dict[str, Any] = {
            "error": {"message": message, "type": kind, "param": param, "code": code}
        }


def overloaded(message: str) -> ServiceError:
    """A 503: too much work now; the openai client tries again."""
    message, wait = f"{message} Try again in a second.", {"retry-after": "1"}
    return ServiceError(503, message, "overloaded", kind="server_error", headers=wait)


def bad_request(message: str, code: str, param: str | None = None) -> ServiceError:
    """A 400: the request cannot be answered as it is."""
    return ServiceError(400, message, code, param)
