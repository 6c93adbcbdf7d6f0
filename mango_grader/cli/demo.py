"""`mango-grader demo`: a search, a grading job and a short belt, all of synthetic mangoes."""

import shlex
from pathlib import Path

import click

from mango_grader.cli.conveyor.run import run as run_conveyor
from mango_grader.cli.grade import grade
from mango_grader.cli.interrupts import resumable
from mango_grader.cli.options import FINISHED_WITH_ERRORS, finish, progress_option
from mango_grader.cli.run_options import Duration
from mango_grader.errors import UsageError
from mango_grader.progress import Progress


@click.command()
@click.option("--out", default="demo-run", show_default=True, metavar="DIR", help="Output directory.")
@click.option(
    "--budget", type=Duration(), default="200s", show_default=True, help="Time limit of the run, export included."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@progress_option
def demo(out: str, budget: float, seed: int, progress: Progress) -> None:
    """Make synthetic mangoes, search a classifier for them, and grade mangoes of other seeds and backgrounds.

    In the end the classifier grades mangoes that roll past on a simulated belt, into a lot report and a clip. Run it
    again to continue after an interruption. Exit code 3 means that the model did not learn to grade.
    """
    from rich.console import Console

    from mango_grader.cli.summary import print_run
    from mango_grader.workflow.demo import EXPECTED_ACCURACY, compare_belt, simulate_belt
    from mango_grader.workflow.demo import demo as run_demo

    folder = Path(out)
    if folder.exists() and not _is_demo(folder):
        raise UsageError(f"--out {folder} exists and is not the folder of a demo; choose a new or empty one")
    unseen, rows, sheet = folder / "unseen" / "images", folder / "grades.csv", folder / "grades.html"
    fruit, clip = folder / "belt.csv", folder / "belt.mp4"
    again = ["mango-grader", "demo", "--out", out, "--budget", f"{budget:.10g}s", "--seed", str(seed)]
    with resumable(lambda: shlex.join(again)):
        run, result = run_demo(folder, budget, seed, progress)
        options = ["--model", str(run.model), "--out", str(rows), "--contact-sheet", str(sheet), "--resume"]
        _call(grade, [str(unseen), *options])
        belt = simulate_belt(folder, seed, progress)
        options = ["--model", str(run.model), "--config", str(belt / "line.toml"), "--out", str(fruit), "--resume"]
        _call(run_conveyor, [str(belt), *options, "--clip", str(clip), "--lot", "demo"])
    sound = print_run(run)
    console = Console(soft_wrap=True, highlight=False)
    shares = ", ".join(_percent(value) for value in result.accuracy)
    console.print(f"on {result.unseen} unseen mangoes on other backgrounds, exit by exit: {shares}")
    console.print(
        f"for comparison: always the most common grade {_percent(result.majority)}, the image border alone "
        f"{_percent(result.border)}, the same model on the fruit without lesions {_percent(result.lesion_free)}"
    )
    counted = compare_belt(belt, fruit)
    console.print(
        f"on a simulated belt: {counted.counted} of {counted.fruit} mangoes counted, {_percent(counted.agreed)} of "
        "them graded as their whole skin says; a model of `conveyor crops` learns more of it than this one of photos"
    )
    console.print(f"grades  {rows}\nsheet   {sheet}\nbelt    {fruit}.html\nclip    {clip}", markup=False)
    if (reached := result.accuracy[-1]) < EXPECTED_ACCURACY:
        console.print(
            f"warning: accuracy {_percent(reached)} is below the expected {_percent(EXPECTED_ACCURACY)}: this machine "
            "had too little time; remove the folder and give more with --budget",
            markup=False,
        )
    finish(sound and reached >= EXPECTED_ACCURACY)


def _call(command: click.Command, arguments: list[str]) -> None:
    """Run another command; where it failed, it has printed why."""
    if (code := command.main(arguments, standalone_mode=False)) not in (0, FINISHED_WITH_ERRORS):
        raise click.exceptions.Exit(code)


def _is_demo(folder: Path) -> bool:
    """Return whether a folder is that of a demo, or empty."""
    begun = (folder / "mangoes" / "synth.json").exists()
    return begun or (folder.is_dir() and all(item.name.startswith(".") for item in folder.iterdir()))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
