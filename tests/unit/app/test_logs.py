"""What is logged has no phone number and no local variable in it, however it came there."""

import io
import logging
import sys

import pytest
import structlog
from prometheus_client import REGISTRY

from cordboard.app.foreign_logs import take_foreign_logs
from cordboard.logs import configure_logs


def break_down(caller: str) -> None:
    """An error that quotes what it stumbled over, as parsers do."""
    params = {"From": caller, "token": "geheim"}
    raise ValueError(f"cannot read {params['From']}")


@pytest.mark.parametrize("json", [True, False])
def test_a_trace_tells_the_place_and_nobodys_number(json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Type and place of an error are told; numbers in its text are masked, local variables left out."""
    configure_logs(json=json)
    try:
        break_down("+15550177")
    except ValueError:
        structlog.get_logger().exception("engine.record_poisoned", call_id="CA1")
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert "break_down" in told
    assert "cannot read *******77" in told
    assert "5550177" not in told
    assert "geheim" not in told


def test_a_request_that_a_library_quotes_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Aiohttp quotes what it cannot parse, in the text of its exception."""
    configure_logs(json=True)
    take_foreign_logs()
    try:
        raise ValueError("400, message: Invalid header: b'From=%2B15550177&To=+15550188'")  # noqa: TRY301 to be caught
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
    told = capsys.readouterr().err
    assert "library.said" in told
    assert "5550177" not in told
    assert "5550188" not in told


def test_a_line_that_stderr_does_not_take_is_counted_and_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads our logs may go away; the calls go on."""
    configure_logs(json=True)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    before = REGISTRY.get_sample_value("cordboard_log_lines_lost_total")
    structlog.get_logger().info("engine.live")
    lost = REGISTRY.get_sample_value("cordboard_log_lines_lost_total")
    assert before is not None
    assert lost == before + 1
