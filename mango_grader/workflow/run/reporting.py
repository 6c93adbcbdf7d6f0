"""The content of a run's report and model card, gathered from its folder, data and figures."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mango_grader import __version__
from mango_grader.automl.movement import Movement
from mango_grader.datasets import Dataset
from mango_grader.datasets.dataset import PARTS
from mango_grader.datasets.probe import ProbeResult, drawn, probe_dataset
from mango_grader.datasets.scan import scan
from mango_grader.datasets.summary import DataSummary, PartSummary
from mango_grader.files import digest, read_json
from mango_grader.models import NetworkSpec, build_network
from mango_grader.progress import Progress
from mango_grader.report import ReportData, pick_examples
from mango_grader.training.distillation import TeacherFigures
from mango_grader.workflow.hand_over import InheritedWeights, keeps_inherited
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.measure import RunMeasurements, run_default
from mango_grader.workflow.run.weights import started_from

_RETRAINED = (
    "The network was retrained on the training and validation images together. Its temperatures and thresholds, and all"
    " validation figures, come from the weights before that, which were trained without validation images."
)
_UNTRAINED = (
    "The network keeps the weights that it inherited from the search: trained ones were worse on validation images, or"
    " there was no time to train. A longer budget or a less busy machine may give a better network."
)
_ENOUGH_ROUNDS = 0.9  # of the planned rounds: fewer are worth a warning


def report_data(
    run: RunContext, spec: NetworkSpec, measured: RunMeasurements, border: ProbeResult | None
) -> ReportData:
    """Return the content of a run's report and model card.

    Args:
        run: the finished run, with its data.
        spec: the network that it ships.
        measured: its figures and test probabilities.
        border: what `probe_border` found.
    """
    folder, config, data = run.folder, run.config, run.data
    kept = folder.teacher_figures
    teacher = TeacherFigures.from_dict(read_json(kept)) if kept.exists() else None
    default = run_default(run, len(spec.exits))
    rows = data.test.rows
    return ReportData(
        title=folder.path.resolve().name,
        classes=data.dataset.classes,
        ordinal=data.dataset.ordinal,
        exits=measured.test.exits,
        policies=measured.test.policies,
        default_policy=default.policy,
        default_reason=default.reason,
        combinations=measured.together.combinations,
        refused=tuple((one.name, one.reason) for one in measured.together.refused),
        spec=spec,
        preferences=read_json(folder.preference) if folder.preference.exists() else {},
        movement=Movement.from_dict(read_json(folder.movement)) if folder.movement.exists() else None,
        choices=read_json(folder.architecture)["choices"] if folder.architecture.exists() else {},
        history=folder.read_history(),
        examples=pick_examples(
            lambda row: np.asarray(data.packed.images[rows[row]]),
            data.paths(data.test),
            data.test.targets,
            measured.probabilities,
            measured.stops,
        ),
        data=_summary(data, border),
        teacher=teacher,
        settings=config.to_dict(),
        notes=(
            *_left_out_rounds(folder),
            *((_UNTRAINED,) if keeps_inherited(folder) else ()),
            *((_RETRAINED,) if config.retrain_on_all else ()),
            *_reviewed_labels(folder, data.dataset),
        ),
        provenance=_provenance(run, spec, measured, teacher),
    )


def _left_out_rounds(folder: RunFolder) -> Iterator[str]:
    """Yield a warning if the deadline left out many rounds of the search."""
    rounds = read_json(folder.plan).get("rounds") if folder.plan.exists() else None
    if rounds and rounds[0] < _ENOUGH_ROUNDS * rounds[1]:
        yield (
            f"The search had time for {rounds[0]} of its {rounds[1]} rounds: the machine was slower than when its"
            " first steps were timed. A longer budget or a less busy machine may find a better network."
        )


def _reviewed_labels(folder: RunFolder, dataset: Dataset) -> Iterator[str]:
    """Yield what a review of the labels changed in which part, if there was one."""
    if dataset.reviewed is not None:
        parts = read_json(folder.split)
        changed, left_out = (
            ", ".join(f"{sum(path in paths for path in parts[part])} {part}" for part in PARTS)
            for paths in (dataset.reviewed.changed, dataset.reviewed.left_out)
        )
        yield (
            f"Labels were corrected by a review: {changed} images have another label than in the folder; {left_out}"
            " images were left out as unusable."
        )


def _provenance(
    run: RunContext, spec: NetworkSpec, measured: RunMeasurements, teacher: TeacherFigures | None
) -> dict[str, object]:
    """Return what identifies a run and its data, JSON-safe."""
    config, data = run.config, run.data
    last = measured.test.exits[-1]
    labels = "\n".join(f"{item.path},{data.dataset.classes[item.label]}" for item in data.dataset.items)
    start = started_from(build_network(spec), config.init_from)
    started = {"init_from": Path(start).name} if start else {}
    weights = InheritedWeights.load(run.folder.inherited)
    inherited = {"inherited": str(weights)} if weights else {}
    limited = {"limits": str(config.search.limits)} if config.search and config.search.limits else {}
    retrained = {"refit": True} if config.retrain_on_all else {}
    distilled = {"teacher": teacher.name, "teacher_test_accuracy": teacher.test.value} if teacher else {}
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": __version__,
        "method": config.search.method.name if config.search else "none",
        "seed": config.seed,
        "images": len(data.packed.labels),
        "labels_sha256": digest(labels.encode("utf-8", "surrogateescape")),
        "test_images": last.count,
        "guessing": last.guessing.to_dict(),
        "test_accuracy": [each.accuracy.value for each in measured.test.exits],
        **limited,
        **started,
        **inherited,
        **retrained,
        **distilled,
    }


def _summary(data: PreparedData, border: ProbeResult | None) -> DataSummary:
    findings = (*data.dataset.findings, *(f"left out {path}: {why}" for path, why in data.packed.errors.items()))
    parts = tuple(
        PartSummary.of(name, examples.targets, data.groups(examples), len(data.dataset.classes))
        for name, examples in (("train", data.train), ("val", data.val), ("test", data.test))
    )
    return DataSummary(str(data.dataset.root), parts, findings, border)


def probe_border(data: PreparedData, seed: int, progress: Progress) -> ProbeResult | None:
    """Return how well the label is predicted from the border of the images alone; None for too few groups.

    Of a large data set, only images that are drawn at random are read.

    Args:
        data: the images, looked at as they are on disk, before any letterbox.
        seed: of the folds.
        progress: told of the scan.
    """
    items = data.dataset.items
    rows = drawn(len(items), seed).tolist()
    some = replace(data.dataset, items=tuple(items[row] for row in rows))
    found = probe_dataset(some, scan(some, progress), [data.split.groups[row] for row in rows], seed)
    return found if found is None or len(rows) == len(items) else replace(found, images=len(rows))
