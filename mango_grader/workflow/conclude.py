"""The end of every run: calibrate, measure, export, report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.export import export_bundle
from mango_grader.models import AnytimeClassifier
from mango_grader.progress import Progress
from mango_grader.report import ReportData, model_card, write_report
from mango_grader.training.batches import Examples
from mango_grader.training.device import Device, pick_device
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.data import PreparedData, prepare
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.measure import RunMeasurements, measure_run
from mango_grader.workflow.reporting import report_data
from mango_grader.workflow.weights import load_network

FIXED_SECONDS = 45.0
"""What measuring, exporting and reporting take on two CPU cores; part of every plan."""

_GOLDEN_PER_CLASS = 2
_CALIBRATION_IMAGES = 128


def conclude(folder: RunFolder, config: RunConfig, data: PreparedData, device: Device, progress: Progress) -> None:
    """Calibrate, measure, export and report a trained run; does nothing where all of it stands already."""
    if folder.report.exists() and folder.model.exists() and folder.metrics.exists():
        return
    _conclude(folder, config, data, folder.model, device, progress)


def export_run(run: str, out: str | None, moved_data: str | None, progress: Progress) -> Path:
    """Measure and export a finished run again, to `out` or its own model file; return the path written.

    Raises UsageError if the run is not finished, or its data have gone (`moved_data` says where they are now).
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    if moved_data is not None:
        config = replace(config, data=replace(config.data, path=str(Path(moved_data).resolve())))
    target = folder.model if out is None else Path(out)
    with folder.locked():
        data = prepare(config.data, folder, progress)
        _conclude(folder, config, data, target, pick_device(config.device), progress)
    return target


def _conclude(
    folder: RunFolder, config: RunConfig, data: PreparedData, target: Path, device: Device, progress: Progress
) -> None:
    net = load_network(folder)
    validated = load_network(folder, validated=True) if config.refit else net
    progress.note("measuring on validation and test data")
    measured = measure_run(net, validated, data, device, config.seed)
    measured.save(folder, data)
    report = report_data(folder, config, data, net.spec, measured, progress)
    progress.note("exporting, and comparing the exported graphs with the network")
    _export(target, net.cpu().eval(), data, measured, report)
    write_report(folder.report, report)


def _export(
    path: Path, net: AnytimeClassifier, data: PreparedData, measured: RunMeasurements, report: ReportData
) -> None:
    golden = _first_of_each_class(data.val, len(data.dataset.classes))
    export_bundle(
        path,
        net,
        classes=data.dataset.classes,
        ordinal=data.dataset.ordinal,
        preprocess=data.preprocess,
        temperatures=measured.calibration.temperatures,
        thresholds=measured.calibration.thresholds,
        golden_images=data.packed.images[golden],
        golden_labels=[int(label) for label in data.packed.labels[golden]],
        calibration_images=data.packed.images[_spread(data.train, _CALIBRATION_IMAGES)],
        provenance=report.provenance,
        card=model_card(report),
    )


def _first_of_each_class(examples: Examples, classes: int) -> NDArray[np.int64]:
    """Return the rows of the first pictures of each class."""
    rows = [examples.rows[examples.targets == label][:_GOLDEN_PER_CLASS] for label in range(classes)]
    return np.concatenate(rows)


def _spread(examples: Examples, count: int) -> NDArray[np.int64]:
    """Return at most `count` rows, evenly spread: rows stand in class order, so the first would be of one class."""
    places = np.linspace(0, len(examples) - 1, min(count, len(examples)), dtype=np.int64)
    rows: NDArray[np.int64] = examples.rows[places]
    return rows
