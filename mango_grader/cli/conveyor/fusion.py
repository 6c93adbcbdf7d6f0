"""`mango-grader conveyor fusion`: how the answers to the views of one fruit are best made into one."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mango_grader.cli.graded import graded_fruit
from mango_grader.cli.options import (
    finish,
    group_by_option,
    json_option,
    model_option,
    print_json,
    progress_option,
    provider_option,
)
from mango_grader.progress import Progress
from mango_grader.text import one_line

if TYPE_CHECKING:
    from mango_grader.line.grading.fitting import FusionFit


@click.command()
@click.argument("crops", metavar="DIR")
@model_option
@group_by_option
@click.option("--config", metavar="FILE", help="A line.toml in which to set grading.fusion to the fitted one.")
@provider_option
@json_option
@progress_option
def fusion(
    crops: str, model: str, group_by: str | None, config: str | None, provider: str, as_json: bool, progress: Progress
) -> None:
    """Fit the fusion `evidence` on graded images of fruit in DIR, several of each, and compare it with the others.

    The views of one fruit are not independent of each other. How much they repeat each other is one number, which is
    fitted by the likelihood of the true grades. Use fruit that the model was not trained on.
    """
    from mango_grader.line.config import read_config, set_in_config
    from mango_grader.line.grading import fusion_context
    from mango_grader.line.grading.fitting import fit_fusion
    from mango_grader.runtime.calibration.fruit import answer_fruit
    from mango_grader.runtime.inference.grader import Grader
    from mango_grader.runtime.inference.model_context import calibrated

    if config is not None:
        read_config(config)
    grader = Grader.load(model, provider, policy="full", decide="argmax")
    fruit = graded_fruit(crops, group_by, grader.manifest, model, progress)
    answered = answer_fruit(grader.bundle, fruit, provider, progress)
    answers = calibrated(grader.manifest, answered.data[grader.model.precision])
    found = fit_fusion(answers, fusion_context(grader))
    if config is not None:
        set_in_config(config, "grading", "fusion", found.fusion)
    if as_json:
        print_json(asdict(found) | {"errors": dict(answered.errors)})
    else:
        _print(found, config)
    for name, reason in answered.errors.items():
        click.echo(one_line(f"left out {name}: {reason}"), err=True)
    finish(not answered.errors)


def _print(found: "FusionFit", config: str | None) -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console

    table = Table("fusion", "correct", "log loss", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for score in (found.single, *found.scores):
        table.add_row(score.fusion, f"{score.accuracy:.1%}", f"{score.log_loss:.4f}")
    open_console().print(table)
    click.echo(f"\n{found.fruit} fruit, {found.views} views")
    click.echo(
        f'fitted  grading.fusion = "{found.fusion}"' + ("" if config is None else one_line(f", set in {config}"))
    )
