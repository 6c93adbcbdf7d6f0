"""`mango-grader data suspects`: photos whose labels may be wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.options import group_by_or_found_option, json_option, labels_option, print_json, progress_option
from mango_grader.progress import Progress
from mango_grader.text import counted, one_line

if TYPE_CHECKING:
    from mango_grader.workflow.suspects import Suspects

_PRINTED = 10


@click.command(short_help="Show the photos whose labels may be wrong, to decide on them.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="FOLDER", help="Folder for the page and the CSV to fill in.")
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    help="Judge by what a finished run, or the runs of a comparison, answered to their test images; may be given "
    "several times.  [default: a cross-validation]",
)
@group_by_or_found_option
@labels_option
@click.option("--top", type=click.IntRange(min=1), help="Number of photos to show.  [default: a tenth, 20 to 200]")
@click.option("--seed", type=click.IntRange(min=0), help="Random seed of the cross-validation's folds.  [default: 0]")
@json_option
@progress_option
def suspects(folder: Path, out: str, runs: tuple[str, ...], as_json: bool, progress: Progress, **options: Any) -> None:
    """Show the photos in DIR (or of a label CSV) whose labels may be wrong, the most doubtful first.

    Fruit that carry several labels come first. Then come the labels that are least credible by models that learned
    neither from the photo nor from another one of the same fruit. FOLDER gets suspects.html to decide on them, or
    reviewed.csv to fill in by hand; --labels takes over the decisions. No label changes by itself.
    """
    from mango_grader.workflow.suspects import SuspectsOptions, find_suspects, write_suspects
    from mango_grader.workflow.suspects.write import check_replaceable_review

    asked = SuspectsOptions(data=str(folder), runs=runs, **options)
    check_replaceable_review(out)
    found = find_suspects(asked, progress)
    page = write_suspects(out, found)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found, page)


def _print(found: "Suspects", page: Path) -> None:
    divided = len({each.group for each in found.first if each.same_fruit})
    click.echo(
        one_line(f"{found.dataset.root}: {counted(len(found.dataset.items), 'image')}, judged by {found.source}")
    )
    for note in found.notes:
        click.echo(one_line(f"note: {note}"))
    wrong = sum(each.judgement is not None and each.judgement.wrong for each in found.ranked)
    click.echo(f"{divided} fruit with several labels; {counted(wrong, 'label')} likely wrong")
    for each in found.first[:_PRINTED]:
        click.echo(one_line(f"  {each.path}: {each.why}"))
    if len(found.first) > _PRINTED:
        click.echo(f"  … and {len(found.first) - _PRINTED} more to look at")
    click.echo(one_line(f"decide in {page}, or in {page.with_name('reviewed.csv')}"))
