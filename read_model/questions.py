"""Why a question is not answered."""


class Unanswered(Exception):
    """Root of them: `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadQuestion(Unanswered):
    """The caller asked for something that makes no sense."""


class Lagging(Unanswered):
    """The read model does not have yet what the caller insists on seeing."""
