"""`mango-grader calibrate`: fresh fruit of a line, or other defaults, for a model that stays as it was trained."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mango_grader.cli.graded import graded_fruit
from mango_grader.cli.options import finish, group_by_option, json_option, print_json, progress_option
from mango_grader.errors import UsageError
from mango_grader.progress import Progress
from mango_grader.text import one_line

if TYPE_CHECKING:
    from mango_grader.runtime.bundle.manifest import Manifest
    from mango_grader.runtime.calibration.fruit import CalibrationFruit
    from mango_grader.runtime.calibration.recalibrate import Defaults, Recalibration


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--data", metavar="DIR", help="Graded photos of your line, which the model was not trained on.")
@click.option("--unlabelled", metavar="DIR", help="Photos without grades, for policies that need none.")
@group_by_option
@click.option("--default-policy", metavar="POLICY", help="Exit policy that the new model uses by itself.")
@click.option("--default-decide", metavar="RULE", help="Decision rule that the new model uses by itself.")
@click.option("--out", required=True, metavar="FILE", help="The new model: .mango.")
@json_option
@progress_option
def calibrate(
    model: str,
    data: str | None,
    unlabelled: str | None,
    group_by: str | None,
    default_policy: str | None,
    default_decide: str | None,
    out: str,
    as_json: bool,
    progress: Progress,
) -> None:
    """Calibrate MODEL, a .mango file or the folder of a finished run, on fruit of your own line.

    The network stays as it is. With --data, temperatures and calibration data are those of the new fruit, so that
    budget, risk and conformal hold for it. With --unlabelled, temperatures stay, and risk bounds how often an early
    answer differs from the last exit's. Prices that --default-decide cost:FILE names are kept in the new model.
    """
    from mango_grader.runtime.bundle.archive import Bundle
    from mango_grader.runtime.calibration.recalibrate import recalibrate

    if data is not None and unlabelled is not None:
        raise UsageError("--data and --unlabelled: the photos are graded or they are not; give one of them")
    if data is None and unlabelled is None:
        if default_policy is None and default_decide is None:
            raise UsageError("nothing to change: give --data, --unlabelled, --default-policy or --default-decide")
        if group_by is not None:
            raise UsageError("--group-by groups photos: give --data or --unlabelled with it")
    if Path(out).suffix.lower() != ".mango":
        raise UsageError(f"--out {out}: the new model's name ends with .mango")
    manifest = Bundle.open(model).manifest
    defaults = _defaults(default_policy, default_decide, manifest)
    fruit = None
    if data is not None:
        fruit = graded_fruit(data, group_by, manifest, model, progress)
    elif unlabelled is not None:
        fruit = _ungraded(unlabelled, group_by)
    result = recalibrate(model, out, fruit, defaults, progress)
    if as_json:
        print_json(_to_dict(result))
    else:
        _print(result)
    for name, reason in result.errors.items():
        click.echo(one_line(f"left out {name}: {reason}"), err=True)
    finish(not result.errors)


def _defaults(policy: str | None, decide: str | None, manifest: "Manifest") -> "Defaults":
    from mango_grader.runtime.calibration.recalibrate import Defaults
    from mango_grader.runtime.decisions.cost import price_file
    from mango_grader.runtime.decisions.prices import read_prices

    path = None if decide is None else price_file(decide)
    if path is None:
        return Defaults(policy=policy, decide=decide)
    return Defaults(policy=policy, decide="cost", prices=read_prices(path, manifest.classes))


def _ungraded(folder: str, group_by: str | None) -> "CalibrationFruit":
    from mango_grader.datasets.reading.files import list_files
    from mango_grader.datasets.reading.groups import read_groups
    from mango_grader.runtime.calibration.fruit import CalibrationFruit

    files = list_files(Path(folder))
    groups, _ = read_groups(files, files.images, None, group_by)
    return CalibrationFruit([str(files.root / path) for path in files.images], files.images, groups)


def _to_dict(result: "Recalibration") -> dict[str, object]:
    manifest = result.bundle.manifest
    info = manifest.calibration
    return {
        "model": str(result.bundle.path),
        "digest": result.bundle.digest,
        "images": None if info is None else info.images,
        "groups": None if info is None else info.groups,
        "temperatures_before": list(result.before),
        "temperatures": [one.temperature for one in manifest.exits],
        "accuracy": list(result.accuracy),
        "default_policy": manifest.default_policy,
        "default_decide": manifest.default_decide,
        "reason": result.reason,
        "realised_cost": None if result.cost is None else asdict(result.cost),
        "errors": dict(result.errors),
    }


def _print(result: "Recalibration") -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console

    manifest = result.bundle.manifest
    accuracies = [f"{share:.1%}" for share in result.accuracy] or ["–"] * len(manifest.exits)
    table = Table("exit", "correct", "temperature before", "now", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns:
        column.justify = "right"
    for number, (before, one, share) in enumerate(zip(result.before, manifest.exits, accuracies, strict=True), 1):
        table.add_row(str(number), share, f"{before:.3f}", f"{one.temperature:.3f}")
    open_console().print(table)
    click.echo(one_line(f"\ndefault policy  {manifest.default_policy}: {result.reason}".strip()))
    click.echo(one_line(f"default rule    {manifest.default_decide}"))
    if result.cost is not None:
        click.echo(f"realised cost   {result.cost}")
    click.echo(one_line(f"model           {result.bundle.path}"))
