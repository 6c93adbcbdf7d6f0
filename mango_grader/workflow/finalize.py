"""The end of every run: calibrate, measure, export, report."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.probe import ProbeResult
from mango_grader.datasets.shards import SomeImages
from mango_grader.errors import UsageError
from mango_grader.export import CalibrationImages, Description, ExportImages, Interface, export_bundle
from mango_grader.files import read_json, write_json
from mango_grader.models import AnytimeClassifier
from mango_grader.progress import Progress
from mango_grader.report import ReportData, model_card, write_report
from mango_grader.report.caveats import warnings
from mango_grader.training.batches import Examples
from mango_grader.training.device import Device
from mango_grader.workflow.config import Places
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData, finished_data
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.measure import RunMeasurements, measure_run
from mango_grader.workflow.run.reporting import probe_border, report_data
from mango_grader.workflow.run.weights import load_network

_GOLDEN_PER_CLASS = 2
_QUANTISATION_IMAGES = 128


def finalize(run: RunContext) -> None:
    """Calibrate, measure, export and report a trained run; what is there already is not done again.

    Args:
        run: the run, its weights saved.
    """
    folder, config, data, progress = run.folder, run.config, run.data, run.progress
    if folder.finished:
        return
    net = load_network(folder)
    before_refit = load_network(folder, before_refit=True) if config.retrain_on_all else net
    progress.note("measuring on validation and test data")
    measured = measure_run(run, net, before_refit)
    measured.save(folder, data)
    border = probe_border(data, config.seed, progress)
    write_json(folder.border, border and asdict(border))
    report = report_data(run, net.spec, measured, border)
    progress.note("exporting, and comparing the exported graphs with the network")
    _export(folder.model, _Networks(net.cpu().eval(), before_refit.cpu().eval()), data, measured, report)
    write_json(folder.warnings, list(warnings(report)))
    write_report(folder.report, report)


def export_run(run: str, out: str | None, moved_data: str | None, progress: Progress) -> Path:
    """Export a finished run again, as it was measured, and return the path of the bundle.

    Class names, calibration and figures are those of the run, whatever its data are now. Nothing else in the run folder
    changes.

    Args:
        run: the run folder.
        out: where the bundle is written; None for the run's own model file.
        moved_data: where the run's data are now; None where they did not move.
        progress: told what happens.

    Raises:
        UsageError: the run is not finished, or the moved data are not those that it was made of.
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    if not (folder.weights.exists() and folder.metrics.exists() and folder.predictions.exists()):
        raise UsageError(f"{folder.path} is not finished; finish it: {folder.resuming()}")
    if moved_data is not None:
        config = config.at(Places(data=str(Path(moved_data).resolve())))
    target = folder.model if out is None else Path(out)
    own = target.resolve() == folder.model.resolve()
    with ExitStack() as stack:
        # For pixels that the run does not keep; Windows deletes no file that is still mapped.
        scratch = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        if own:
            stack.enter_context(folder.locked())
        data = finished_data(folder, config.data, scratch, progress, moved=moved_data is not None)
        measured = RunMeasurements.load(folder)
        net = load_network(folder)
        context = RunContext(folder, config, data, Device("cpu"), progress)
        report = report_data(context, net.spec, measured, _border(context))
        progress.note("exporting, and comparing the exported graphs with the network")
        before_refit = load_network(folder, before_refit=True) if config.retrain_on_all else net
        _export(target, _Networks(net.eval(), before_refit.eval()), data, measured, report)
    return target


def _border(run: RunContext) -> ProbeResult | None:
    if run.folder.border.exists():
        found = read_json(run.folder.border)
        return found and ProbeResult(**found)
    return probe_border(run.data, run.config.seed, run.progress)  # a run of an older version


@dataclass(frozen=True)
class _Networks:
    """The trained network, and the same before it was trained on the validation part, too."""

    final: AnytimeClassifier
    before_refit: AnytimeClassifier

    @property
    def of_calibration(self) -> AnytimeClassifier | None:
        """The network that answers the calibration images; None where that is the final one."""
        return None if self.final is self.before_refit else self.before_refit


def _export(path: Path, networks: _Networks, data: PreparedData, measured: RunMeasurements, report: ReportData) -> None:
    golden = _first_of_each_class(data.val, len(data.dataset.classes))
    images = data.packed.images
    val = SomeImages(images, data.val.rows)
    groups = np.unique(data.groups(data.val), return_inverse=True)[1]
    export_bundle(
        path,
        networks.final,
        Interface(data.preprocess, data.dataset.classes, data.dataset.ordinal),
        measured.calibration,
        ExportImages(
            golden=images[golden],
            golden_labels=tuple(int(label) for label in data.packed.labels[golden]),
            quantisation=images[_spread(data.train, _QUANTISATION_IMAGES)],
            calibration=CalibrationImages(val, data.val.targets, groups, networks.of_calibration),
        ),
        Description(card=model_card(report), provenance=report.provenance),
    )


def _first_of_each_class(examples: Examples, classes: int) -> NDArray[np.int64]:
    """Return the rows of the first images of each class."""
    rows = [examples.rows[examples.targets == label][:_GOLDEN_PER_CLASS] for label in range(classes)]
    return np.concatenate(rows)


def _spread(examples: Examples, count: int) -> NDArray[np.int64]:
    """Return at most `count` rows, evenly spread: rows stand in class order, so the first would be of one class."""
    places = np.linspace(0, len(examples) - 1, min(count, len(examples)), dtype=np.int64)
    rows: NDArray[np.int64] = examples.rows[places]
    return rows
