import pytest

from projector import follower, patience, stream


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again soon."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(follower, "PAUSE_S", 0.001)
    monkeypatch.setattr(stream, "HELD_OFF_S", 0.01)
