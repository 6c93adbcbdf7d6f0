"""The end of every run: calibrate, measure, export, report."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader import __version__
from mango_grader.export import export_bundle
from mango_grader.files import digest
from mango_grader.models import AnytimeClassifier
from mango_grader.progress import Progress
from mango_grader.training.batches import Examples
from mango_grader.training.device import Device, pick_device
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.data import PreparedData, prepare
from mango_grader.workflow.folder import RunFolder
from mango_grader.workflow.measure import RunMeasurements, measure_run
from mango_grader.workflow.reporting import model_card, report_run
from mango_grader.workflow.weights import load_network

FIXED_SECONDS = 60.0
"""What preparing, exporting and reporting take on two CPU cores; part of every plan."""

_GOLDEN_PER_CLASS = 2
_CALIBRATION_IMAGES = 128


def conclude(folder: RunFolder, config: RunConfig, data: PreparedData, device: Device, progress: Progress) -> None:
    """Calibrate, measure, export and report a trained run; files that stand already are kept."""
    net = load_network(folder)
    if folder.report.exists() and folder.model.exists() and folder.metrics.exists():
        return
    progress.note("measuring on validation and test data")
    measured = measure_run(net, data, device, config.seed)
    measured.save(folder, data)
    if not folder.model.exists():
        progress.note("exporting, and comparing the exported graphs with the network")
        _export(folder.model, net.cpu().eval(), config, data, measured)
    report_run(folder, config, data, net, measured)


def export_run(run: str, out: str | None, moved_data: str | None, progress: Progress) -> Path:
    """Export a finished run again, to `out` or its own model file; return the path written.

    Raises UsageError if the run is not finished, or its data have gone (`moved_data` says where they are now).
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    if moved_data is not None:
        config = config.with_settings([f'data.path="{moved_data}"'])
    net = load_network(folder)
    data = prepare(config.data, folder, progress)
    measured = measure_run(net, data, pick_device(config.device), config.seed)
    target = folder.model if out is None else Path(out)
    _export(target, net.cpu().eval(), config, data, measured)
    return target


def _export(
    path: Path, net: AnytimeClassifier, config: RunConfig, data: PreparedData, measured: RunMeasurements
) -> None:
    golden = _first_of_each_class(data.val, len(data.dataset.classes))
    last = measured.test.exits[-1]
    provenance = {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": __version__,
        "method": config.search.method.name if config.search else "none",
        "seed": config.seed,
        "data": {
            "images": len(data.packed.labels),
            "labels_sha256": digest("\n".join(f"{i.path},{i.label}" for i in data.dataset.items).encode()),
        },
        "test": {
            "images": last.count,
            "groups": last.groups,
            "accuracy": [e.accuracy.value for e in measured.test.exits],
        },
    }
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
        calibration_images=data.packed.images[data.train.rows[:_CALIBRATION_IMAGES]],
        provenance=provenance,
        card=model_card(config, data, measured),
    )


def _first_of_each_class(examples: Examples, classes: int) -> NDArray[np.int64]:
    """Return the rows of the first pictures of each class."""
    rows = [examples.rows[examples.targets == label][:_GOLDEN_PER_CLASS] for label in range(classes)]
    return np.concatenate(rows)
