from rich.console import Console

from ntk_aug import progress


def test_a_log_gets_a_line_from_time_to_time(monkeypatch, capsys):
    clock = iter([0, 10, 31, 40, 62])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress_bars("network 1/2 ") as tell:
        for done in range(4):
            tell("training", done, 15)
    assert capsys.readouterr().err.splitlines() == [
        "network 1/2 training 1/15 after 31 s",
        "network 1/2 training 3/15 after 62 s",
    ]


def test_a_terminal_gets_a_bar_for_each_stage(monkeypatch, capsys):
    monkeypatch.setattr(
        progress, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=100)
    )
    with progress.progress_bars() as tell:
        tell("training", 15, 15)
        tell("spectra", 1, 4)
    shown = capsys.readouterr().err
    assert "15/15" in shown
    assert "1/4" in shown
