"""`mango-grader train`: a known network on this season's photos; no new search."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import SearchSpace
from mango_grader.cli.options import progress_option
from mango_grader.cli.run import base_config, run_options
from mango_grader.cli.summary import print_run
from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.models import NetworkSpec
from mango_grader.models.baselines import BASELINES
from mango_grader.progress import Progress
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.folder import open_run
from mango_grader.workflow.train import train as run_train


@click.command(short_help="Train a given architecture: a next season, no new search.")
@run_options
@click.option("--architecture", metavar="FILE", help="architecture.json of a search.")
@click.option("--baseline", type=click.Choice(sorted(BASELINES)), help="A known network to compare with.")
@click.option("--init-from", metavar="RUN", help="Start from the weights of that run instead of from scratch.")
@progress_option
def train(out: str, resume: bool, data: str | None, progress: Progress, **options: Any) -> None:
    """Train a given architecture on new photos; calibrate and export it as search does.

    An interrupted run goes on with --resume and --out alone, to the same result.
    """
    config = None if data is None else _config(data=data, **options)
    folder, config = open_run(out, config, resume=resume)
    run_train(folder, config, progress)
    print_run(folder)


def _config(
    *,
    architecture: str | None,
    baseline: str | None,
    init_from: str | None,
    assignments: tuple[str, ...],
    **options: Any,
) -> RunConfig:
    config = base_config(**options).with_settings(assignments)
    classes = len(read_dataset(config.data.path, config.data.group_by, config.data.ordinal).classes)
    if (architecture is None) == (baseline is None):
        raise UsageError("name what to train: --architecture FILE or --baseline NAME")
    if baseline is not None:
        shape = (3, config.data.height, config.data.width)
        return replace(config, network=BASELINES[baseline](shape, classes), init_from=init_from)
    assert architecture is not None
    found = _read(architecture)
    if options["size"] is None:
        data = replace(config.data, height=found.space.height, width=found.space.width)
    else:
        data = config.data
    return replace(config, data=data, network=_network(found, data, classes), init_from=init_from)


def _read(path: str) -> Architecture:
    try:
        return Architecture.from_dict(read_json(Path(path)))
    except OSError as error:
        raise UsageError(f"--architecture {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--architecture {path} holds no architecture: {error}") from error


def _network(found: Architecture, data: DataConfig, classes: int) -> NetworkSpec:
    space = replace(found.space, height=data.height, width=data.width, classes=classes)
    return SearchSpace(space).resolve(Architecture(space, found.choices))
