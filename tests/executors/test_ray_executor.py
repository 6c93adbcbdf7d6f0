"""What only the executor on Ray does: it leaves this process as it was."""

import signal

import pytest

from mango_grader.executors import RayExecutor

pytest.importorskip("ray")


def test_a_terminated_command_still_says_how_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    def ended(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, ended)
    try:
        with RayExecutor():
            assert signal.getsignal(signal.SIGTERM) is ended
        assert signal.getsignal(signal.SIGTERM) is ended
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not capfd.readouterr().err, "Ray has nothing to say to a user whose run goes well"
