import re

import pytest
from rich.console import Console
from rich.progress import Progress

from ntk_aug import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, for lines in a file and for rich's bars."""
    times = {"now": 0.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: times["now"])
    return times


def test_a_log_gets_a_line_from_time_to_time(clock, capsys):
    with progress.progress_bars("network 1/2 ") as tell:
        # The first step compiles; each of the others takes 4 s, and 9 are left at 44 s.
        for done in range(1, 16):
            clock["now"] = 20 + 4 * done
            tell("training", done, 15)
        # Another stage has its own pace: 60 s for the first tenth, then 100 s for each.
        for done, now in ((1, 140), (2, 240), (3, 340), (4, 7540)):
            clock["now"] = now
            tell("spectra", done, 10)
    assert capsys.readouterr().err.splitlines() == [
        "network 1/2 training 3/15 after 32 s, about 48 s left",
        "network 1/2 training 11/15 after 64 s, about 16 s left",
        "network 1/2 spectra 1/10 after 2 min, about 9 min left",
        "network 1/2 spectra 2/10 after 4 min, about 13 min left",
        "network 1/2 spectra 3/10 after 6 min, about 12 min left",
        "network 1/2 spectra 4/10 after 2.1 h, about 4.1 h left",
    ]


def test_work_that_was_resumed_is_not_counted_as_fast(clock, capsys):
    with progress.progress_bars() as tell:
        for done, now in ((900, 5), (901, 35), (901, 70)):
            clock["now"] = now
            tell("kernel blocks", done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "kernel blocks 901/1000 after 35 s, about 50 min left",
        "kernel blocks 901/1000 after 70 s, about 107 min left",
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


def test_a_bar_tells_the_time_left(monkeypatch, capsys):
    times = {"now": 0.0}

    def console(stderr):
        return Console(stderr=stderr, force_terminal=True, width=100)

    def bars(*columns, console):
        return Progress(
            *columns, console=console, get_time=lambda: times["now"], auto_refresh=False
        )

    monkeypatch.setattr(progress, "Console", console)
    monkeypatch.setattr(progress, "Progress", bars)
    with progress.progress_bars() as tell:
        for done in range(1, 11):
            times["now"] = 3.0 * done
            tell("products", done, 30)
    shown = capsys.readouterr().err
    assert "10/30" in shown
    assert "0:01:00" in shown  # 20 more of 3 s each


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 160 columns, whose bars are drawn when they are asked for."""

    def console(stderr):
        return Console(stderr=stderr, force_terminal=True, width=160)

    monkeypatch.setattr(progress, "Console", console)


def last_line(shown):
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown).splitlines()[-1].rstrip()


def test_a_run_has_one_bar_with_its_last_epoch(terminal, clock, capsys):
    with progress.run_progress(prefix="run 1/2 ") as run:
        run("logits", 400, 1000)
        for done, now in ((10, 100), (20, 130)):
            clock["now"] = now
            run("training", done, 40)
        run.tell("epoch 1/2, loss 0.531")
        clock["now"] = 160
        run("training", 30, 40)
        run("classes", 3, 10)
    line = last_line(capsys.readouterr().err)
    assert line.startswith("run 1/2 classes ")
    # 10 steps in 30 s since the first of them were done: compilation is left out.
    assert line.endswith("3/10 | 30 s left | epoch 1/2, loss 0.531")


def test_a_finished_bar_tells_the_time_it_took(terminal, clock, capsys):
    with progress.run_progress() as run:
        for done, now in ((1, 5), (40, 205)):
            clock["now"] = now
            run("training", done, 40)
        run.tell("epoch 2/2")  # after the last step
    line = last_line(capsys.readouterr().err)
    assert line.startswith("training ")
    assert line.endswith("40/40 | 3 min | epoch 2/2")


def test_a_run_in_a_log_tells_its_last_epoch_with_each_line(clock, capsys):
    text = "epoch 12/200, loss 0.531, test accuracy 61.2 %, 250 images/s"
    with progress.run_progress(prefix="runs/t1-cifar10-coreset-10/0 ") as run:
        run("training", 1, 100)
        run.tell(text)
        clock["now"] = 20
        run("training", 10, 100)  # quiet
        clock["now"] = 40
        run("training", 21, 100)
    assert capsys.readouterr().err.splitlines() == [
        f"runs/t1-cifar10-coreset-10/0 training 21/100 after 40 s, about 3 min left; {text}"
    ]


def test_a_short_run_in_a_log_is_quiet(clock, capsys):
    with progress.run_progress() as run:
        run("training", 5, 5)
    assert capsys.readouterr().err == ""
