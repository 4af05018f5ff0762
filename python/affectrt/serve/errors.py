"""What a client is told when something is wrong, in the shape that OpenAI's clients read."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than 2xx."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Make one.

        Args:
            status: Of HTTP.
            message: What was expected and what came, for the person who wrote the client.
            param: Which part of the request, such as `messages[2].content`.
            code: For programs, such as `model_not_found`.
            kind: What `type` says: "invalid_request_error" or "server_error".
            headers: Further ones, such as Retry-After.
        """
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.kind = status, message, param, code, kind
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def overloaded(message: str, retry_after_s: int) -> ApiError:
    """503: nothing is wrong with the request, and later it will be served."""
    return ApiError(503, message, code="overloaded", kind="server_error", headers={"Retry-After": str(retry_after_s)})


def stopping() -> ApiError:
    """503: the server goes down."""
    return overloaded("the server is shutting down", 10)
