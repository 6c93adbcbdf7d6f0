"""`mango-grader conveyor calibrate`: the configuration of a line, from frames of its belt."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.conveyor.source_options import source_argument
from mango_grader.cli.options import json_option, print_json, progress_option
from mango_grader.errors import UsageError
from mango_grader.progress import Progress
from mango_grader.text import one_line

if TYPE_CHECKING:
    from mango_grader.line.calibration.calibrate import Calibration
    from mango_grader.line.calibration.scale import Measure
    from mango_grader.line.sources import Source

_DIRECTIONS = ("right", "left", "down", "up")
_MOTIONS = ("estimated", "speed", "encoder")


@click.command()
@source_argument
@click.option("--out", required=True, metavar="FILE", help="The configuration: line.toml; a page is written beside it.")
@click.option(
    "--empty",
    multiple=True,
    metavar="A:B",
    help="Frames A to B - 1 show the empty belt; may be repeated.  [default: those that look empty]",
)
@click.option("--frames", type=click.IntRange(min=3), default=900, show_default=True, help="Most frames to read.")
@click.option("--mm-per-px", type=float, metavar="X", help="Millimetres on the belt per pixel.")
@click.option(
    "--ruler", metavar="X1,Y1,X2,Y2:MMmm|PXpx:MMmm", help="A known length in the image, by its ends or its length."
)
@click.option("--checkerboard", metavar="9x6:25mm", help="Inner corners and squares of a checkerboard in the frames.")
@click.option("--pitch-mm", type=float, metavar="X", help="Millimetres after which the belt's pattern repeats.")
@click.option("--lanes", type=click.IntRange(1, 64), help="Number of lanes.  [default: as many as the fruit show]")
@click.option("--direction", type=click.Choice(_DIRECTIONS), help="In which fruit move.  [default: as seen]")
@click.option("--speed", type=float, metavar="PX/S", help="Of the belt, in pixels per second.  [default: as seen]")
@click.option(
    "--motion",
    type=click.Choice(_MOTIONS),
    help="How the line knows where the belt is.  [default: encoder where frames carry its ticks, else estimated]",
)
@click.option("--entry-line", type=float, metavar="PX", help="Position along the belt from which fruit are graded.")
@click.option("--decision-line", type=float, metavar="PX", help="Position along the belt at which fruit are decided.")
@click.option("--force", is_flag=True, help="Replace any file at --out.")
@json_option
@progress_option
def calibrate(
    source: "Source", out: str, empty: tuple[str, ...], frames: int, force: bool, as_json: bool, progress: Progress,
    **wanted: Any,
) -> None:  # fmt: skip
    """Write the configuration of a line from frames of its belt in SOURCE.

    The belt's colours come from empty frames, direction and speed from its texture and from moving fruit, lanes and
    lines from where fruit lie. A page beside the configuration shows what was found, and how sure each value is.
    """
    from mango_grader.files import write_text
    from mango_grader.line.calibration.calibrate import Request
    from mango_grader.line.calibration.calibrate import calibrate as found_in
    from mango_grader.line.calibration.footage import gather
    from mango_grader.line.calibration.page import render_page
    from mango_grader.line.calibration.writing import check_out, write_config
    from mango_grader.runtime.grading.outputs import PAGE, check_replaceable

    page = Path(out).with_suffix(".html")
    measure = _measure(**{name: wanted.pop(name) for name in ("mm_per_px", "ruler", "checkerboard", "pitch_mm")})
    request = Request(measure=measure, **wanted)
    check_out(out, force=force)
    if not force:
        check_replaceable(page, PAGE)
    footage = gather(source, frames, [_range(text) for text in empty], progress)
    calibration = found_in(footage, request, progress)
    write_text(page, render_page(calibration, footage, source.name))
    write_config(out, calibration)
    if as_json:
        _print_json(calibration, out, page)
    else:
        _print(calibration, out, page)


def _range(text: str) -> range:
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text.strip())
    if found is None or int(found[1]) >= int(found[2]):
        raise UsageError(
            f"--empty {one_line(text)[:40]}: write the first frame and the one after the last, such as 0:70"
        )
    return range(int(found[1]), int(found[2]))


def _measure(
    mm_per_px: float | None, ruler: str | None, checkerboard: str | None, pitch_mm: float | None
) -> "Measure | None":
    from mango_grader.line.calibration.scale import Checkerboard, Given, Pitch, Ruler

    for name, value in (("--mm-per-px", mm_per_px), ("--pitch-mm", pitch_mm)):
        if value is not None and not 0 < value < 1e6:
            raise UsageError(f"{name} must be above 0, not {value:g}")
    measures: list[Measure] = [
        *([] if mm_per_px is None else [Given(mm_per_px)]),
        *([] if ruler is None else [Ruler.parse(ruler)]),
        *([] if checkerboard is None else [Checkerboard.parse(checkerboard)]),
        *([] if pitch_mm is None else [Pitch(pitch_mm)]),
    ]
    if len(measures) > 1:
        raise UsageError("--mm-per-px, --ruler, --checkerboard and --pitch-mm say the same; give one of them")
    return measures[0] if measures else None


def _print_json(calibration: "Calibration", out: str, page: Path) -> None:
    print_json(
        {
            "config": calibration.config.to_dict(),
            "findings": [asdict(finding) for finding in calibration.findings],
            "out": out,
            "page": str(page),
        }
    )


def _print(calibration: "Calibration", out: str, page: Path) -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console
    from mango_grader.line.calibration.writing import in_words

    table = Table("setting", "value", "how sure", "how it is known", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for finding in calibration.findings:
        table.add_row(finding.name, finding.value, in_words(finding.sure), one_line(finding.how))
    open_console().print(table)
    click.echo()
    click.echo(one_line(f"written  {out}; look at {page}"))
