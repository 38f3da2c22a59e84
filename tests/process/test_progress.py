import pytest

from graftwork.process.progress import bytes_bar, count_bar


def test_a_terminal_sees_amount_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with bytes_bar("fetch it", 2000) as seen:
        seen(1000)
    with count_bar("photos", 10) as seen:
        seen(4)
    drawn = capsys.readouterr().err
    assert "fetch it" in drawn and "1.0/2.0 kB" in drawn
    assert "4/10" in drawn and ":" in drawn


def test_a_bars_title_may_be_any_file_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with bytes_bar("[cat] dog[/us] \x1b]0;owned\x07.zip", 2000) as seen:
        seen(1000)
    drawn = capsys.readouterr().err
    assert r"[cat] dog[/us] \x1b]0;owned\x07.zip" in drawn and "\x1b]0" not in drawn


def test_a_log_file_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bytes_bar("fetch it", None) as seen:
        seen(1000)
    assert capsys.readouterr() == ("", "")
