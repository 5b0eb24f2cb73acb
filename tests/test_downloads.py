"""How the progress of a download is shown."""

from io import StringIO

from clipgen.cli.downloads import PlainDownload, download_progress


def test_plain_progress_is_a_line_for_each_tenth() -> None:
    stream, now = StringIO(), [0.0]
    report = PlainDownload("x", stream, lambda: now[0])
    for done in range(1001):
        report(done * 1000, 10**6)
    lines = stream.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("x: 0 B of 1 MB, 0 %", "x: 1 MB of 1 MB, 100 %")
    assert 10 <= len(lines) <= 12
    stream.truncate(0)
    report = PlainDownload("x", stream, lambda: now[0])
    for done in (1, 2, 3):
        report(done, None)
        now[0] += 6
    assert stream.getvalue().replace("\0", "").splitlines() == ["x: 1 B", "x: 3 B"]


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with download_progress("the file", stream) as report:
        report(500, 1000)
        report(1000, 1000)
    assert "the file" in stream.getvalue()
    assert "\x1b" in stream.getvalue()
