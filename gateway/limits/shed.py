"""What is refused for now, so that what is accepted is served as fast as ever."""


class Shed(Exception):
    """Too much is asked for at the moment: `code` is for programs; `retry_after_s` says when to try again."""

    def __init__(self, code: str, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def extensions(self) -> dict[str, object]:
        """What a client is told besides the message; `retryAfter` is in seconds."""
        return {"code": self.code, "retryAfter": round(self.retry_after_s, 3)}
