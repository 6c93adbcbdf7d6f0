"""`mango-grader evaluate`: a model against graded photos, exit policy by exit policy."""

from typing import Any

import click

from mango_grader.cli.options import (
    chosen_precision,
    finish,
    group_by_or_found_option,
    json_option,
    labels_option,
    model_option,
    precision_option,
    print_json,
    progress_option,
    provider_option,
)
from mango_grader.progress import Progress
from mango_grader.text import one_line


@click.command()
@model_option
@click.option("--data", required=True, metavar="DIR", help="Folder of graded photos.")
@group_by_or_found_option
@labels_option
@click.option("--split", metavar="FILE", help="split.json of a run: evaluate on its test part only.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="full|exit:K|threshold|…",
    help="Exit policy to measure; may be given several times.  [default: full, every exit, the model's, and others]",
)
@click.option(
    "--decide",
    "rules",
    multiple=True,
    metavar="argmax|cost:FILE|…",
    help="Decision rule to measure with each policy; may be given several times.  [default: the model's]",
)
@precision_option
@click.option("--out", metavar="FILE", help="Write the figures to FILE: .json, .csv or .html.")
@click.option(
    "--predictions",
    metavar="FILE",
    help="Write a row for each image to FILE: .csv, .jsonl or .parquet. They are those of the first policy and rule.",
)
@click.option(
    "--bootstrap",
    type=int,
    default=2000,
    show_default=True,
    metavar="N",
    help="Resamples that the intervals come from, 100 or more; 0 for no intervals.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the bootstrap.")
@provider_option
@json_option
@progress_option
def evaluate(
    model: str, data: str, out: str | None, predictions: str | None, as_json: bool, progress: Progress, **options: Any
) -> None:
    """Measure a model on graded photos: exit policies and decision rules side by side, and the confusion of classes.

    The confusion and the predictions are of the first --policy and --decide; without them, of the model's own. Times
    are of this host, one image at a time, from the start of decoding to the answer; a deadline is kept in earnest.

    Classes are matched by name. Images that cannot be read are listed and left out; the exit code is then 3.
    """
    from mango_grader.cli.combinations import print_combinations
    from mango_grader.cli.summary import print_confusion, print_warnings
    from mango_grader.runtime.grading.outputs import FIGURES, check_replaceable
    from mango_grader.runtime.grading.writers import check_output
    from mango_grader.workflow.evaluate import EvaluateOptions
    from mango_grader.workflow.evaluate import evaluate as run_evaluate
    from mango_grader.workflow.figures import write_figures
    from mango_grader.workflow.predictions import write_predictions

    if out is not None:
        check_replaceable(out, FIGURES)
    if predictions is not None:
        check_output(predictions)
    options["precision"] = chosen_precision(model, options["provider"], options["precision"], progress)
    result = run_evaluate(model, data, EvaluateOptions(**options), progress)
    if out is not None:
        write_figures(out, result)
    if predictions is not None:
        write_predictions(predictions, result.classes, result.predictions)
    if as_json:
        print_json(result.to_dict())
    else:
        print_combinations(result)
        print_confusion(result.answered, result.classes)
        print_warnings(result.warnings)
        for path, reason in result.errors.items():
            click.echo(one_line(f"left out {path}: {reason}"), err=True)
    finish(not result.errors)
