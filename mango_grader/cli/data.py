"""`mango-grader data`: inspect a folder of graded photos, or make one."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.options import (
    FINISHED_WITH_ERRORS,
    finish,
    group_by_or_found_option,
    json_option,
    ordinal_option,
    print_json,
    progress_option,
)
from mango_grader.progress import Progress
from mango_grader.text import counted

if TYPE_CHECKING:
    from mango_grader.datasets.inspection import Inspection

_SHOWN = 10  # How many unreadable files are named.


_IMPORTED = ("suspects", "synth")


class _DataGroup(click.Group):
    """Imports some commands only when they are called: they need more than `inspect`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_IMPORTED]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _IMPORTED:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(f"mango_grader.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_DataGroup, short_help="Inspect a folder of graded photos, or make one of synthetic mangoes.")
def data() -> None:
    """Inspect a folder of graded photos, or make one of synthetic mangoes."""


class _Inspect(click.Command):
    """Also takes `--no-ordinal`, the name that `--nominal` had before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--nominal" if one == "--no-ordinal" else one for one in args])


@data.command("inspect", cls=_Inspect, short_help="Count, check and show a folder of graded photos.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@group_by_or_found_option
@ordinal_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML report with images.")
@click.option(
    "--write-groups",
    "groups",
    metavar="FILE.csv",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the fruit of each image, to correct by hand and pass as --group-by FILE.csv:fruit.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the shortcut probe's folds.")
@click.option("--strict", is_flag=True, help=f"Exit with {FINISHED_WITH_ERRORS} if there are findings.")
@json_option
@progress_option
def inspect(
    folder: Path,
    out: Path | None,
    groups: Path | None,
    seed: int,
    strict: bool,
    as_json: bool,
    progress: Progress,
    **reading: Any,
) -> None:
    """Count, check and show the graded photos in DIR (or of a label CSV).

    Prints class counts and sizes, unreadable files, duplicates and near-duplicates, photos of the same fruit, those of
    them that lie in different classes or parts, and how well the image border alone predicts the class.
    """
    from mango_grader.datasets import read_dataset
    from mango_grader.datasets.inspection import inspect_evidence
    from mango_grader.datasets.inspection.check import Evidence
    from mango_grader.datasets.relations import check_new_table, write_groups
    from mango_grader.datasets.scan import scan
    from mango_grader.runtime.grading.outputs import PAGE, check_replaceable

    if out is not None:
        check_replaceable(out, PAGE)
    if groups is not None:
        check_new_table(groups)
    dataset = read_dataset(folder, **reading)
    facts = scan(dataset, progress)
    evidence = Evidence(dataset, facts, seed, progress)
    inspection = inspect_evidence(evidence)
    if groups is not None:
        write_groups(groups, evidence.relations)
        progress.note(f"groups: {groups}")
    if out is not None:
        from mango_grader.datasets.inspection.page import render_inspection
        from mango_grader.files import write_text

        write_text(out, render_inspection(inspection, dataset, facts))
        progress.note(f"report: {out}")
    if as_json:
        print_json(inspection.to_dict())
    else:
        _print(inspection)
    finish(not (strict and inspection.findings))


def _print(seen: "Inspection") -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console
    from mango_grader.datasets.inspection.checks import Shortcut, Unusable
    from mango_grader.text import one_line

    console = open_console()

    def say(line: str) -> None:
        console.print(one_line(line))

    order = counted(len(seen.classes), "class", "grades in order" if seen.ordinal else "classes")
    say(f"{seen.root}: {counted(seen.images, 'image')}, {counted(seen.groups, 'group')}, {order}")
    say(f"labels: {seen.labels_from}, {counted(len(seen.classes), 'class', 'classes')}")
    table = Table("class", "images", "groups", "", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    most = max(count.images for count in seen.classes)
    for count in seen.classes:
        parts = "  ".join(f"{part} {number}" for part, number in count.parts.items())
        bar = "█" * max(1, round(24 * count.images / most))
        table.add_row(one_line(count.name), f"{count.images:,}", f"{count.groups:,}", f"{bar}  {parts}")
    console.print(table)
    if seen.sizes:
        smallest, median, largest = (
            "×".join(map(str, size)) for size in (seen.sizes.smallest, seen.sizes.median, seen.sizes.largest)
        )
        say(f"sizes: {smallest} to {largest} pixels, median {median}")
    if probe := seen.check(Shortcut).probe:
        say(
            f"shortcut probe: {probe.accuracy:.1%} (± {probe.error:.1%}) accuracy from the image border alone; "
            f"the most common class has {probe.majority:.1%} of the images"
        )
    unreadable = seen.check(Unusable).unreadable
    for path, reason in unreadable[:_SHOWN]:
        say(f"unreadable: {path}: {reason}")
    if len(unreadable) > _SHOWN:
        say(f"… and {len(unreadable) - _SHOWN} more unreadable")
    for line in seen.notes:
        say(f"note: {line}")
    for line in seen.findings:
        say(f"finding: {line}")
    if not seen.findings:
        say("no findings")
