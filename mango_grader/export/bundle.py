"""The last step of a run: one .mango file that has been checked to answer as the trained network does."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader import files
from mango_grader.datasets.shards import SomeImages
from mango_grader.errors import ExportError
from mango_grader.export.chain import StageChain
from mango_grader.export.onnx_graphs import export_graphs
from mango_grader.export.originals import draw_originals
from mango_grader.export.parity import check_heat, check_parity, quantised_agreement
from mango_grader.export.quantise import quantise_stages
from mango_grader.models import AnytimeClassifier
from mango_grader.runtime.bundle.archive import CARD, Bundle, write_bundle
from mango_grader.runtime.bundle.calibration import CalibrationData, calibration_parts
from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
from mango_grader.runtime.bundle.manifest import ExitInfo, Manifest, Thresholds
from mango_grader.runtime.calibration.fitting import Calibration, calibrated
from mango_grader.runtime.exits import default_policy
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.verify import verify_bundle
from mango_grader.text import one_line

THRESHOLD = "threshold"


@dataclass(frozen=True)
class Interface:
    """What a model takes and what it answers.

    Attributes:
        preprocess: how an image becomes the pixels that the network takes, (H, W, 3).
        classes: names of the C classes, in the order of the logits.
        ordinal: whether the classes are grades in order.
    """

    preprocess: Preprocess
    classes: tuple[str, ...]
    ordinal: bool


@dataclass(frozen=True, eq=False)
class CalibrationImages:
    """Preprocessed images whose answers the bundle keeps, for choosing exit policies and decision rules.

    Attributes:
        images: N of uint8 (H, W, 3), of the validation part.
        labels: int (N,), their classes, 0..C - 1.
        groups: int (N,), the fruit of each image, numbered from 0.
        network: that answers them, if the exported network was trained on them, too: the same network before that. None
            is the exported network.
    """

    images: NDArray[np.uint8] | SomeImages
    labels: NDArray[np.integer]
    groups: NDArray[np.integer]
    network: AnytimeClassifier | None = None


@dataclass(frozen=True, eq=False)
class ExportImages:
    """Preprocessed images that the export works with.

    Attributes:
        golden: uint8 (G, H, W, 3), answered again whenever the bundle is loaded.
        golden_labels: (G,), their classes.
        quantisation: uint8 (N, H, W, 3) of the training part, which set the ranges of the int8 stages; None for a
            bundle without int8 stages.
        calibration: whose answers the bundle keeps; None for a bundle without them.
    """

    golden: NDArray[np.uint8]
    golden_labels: tuple[int, ...]
    quantisation: NDArray[np.uint8] | None = None
    calibration: CalibrationImages | None = None


@dataclass(frozen=True)
class Description:
    """What a bundle says about itself.

    Attributes:
        card: the model card, Markdown.
        provenance: where the model comes from, JSON-safe; the export adds "parity" and "int8", the measured agreements.
    """

    card: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def export_bundle(
    path: str | os.PathLike[str],
    network: AnytimeClassifier,
    interface: Interface,
    calibration: Calibration,
    images: ExportImages,
    description: Description,
) -> Manifest:
    """Export a network, prove that the bundle answers as the network does, and return the bundle's manifest.

    Nothing is left at `path` on failure. The stages must match torch within 1e-4 in probability on the golden images;
    the bundle keeps the stages' answers to them. It also keeps four drawn image files, which every load preprocesses
    again.

    Args:
        path: of the .mango file.
        network: trained; stays as it is.
        interface: what goes in and what comes out.
        calibration: its thresholds become the exit policy "threshold".
        images: golden images, and those that set the int8 ranges.
        description: model card and provenance.

    Raises:
        ExportError: where the parts do not fit or the graphs do not agree.
    """
    _check(network, interface, calibration, images)
    graphs, temperatures, preprocess = export_graphs(network), calibration.temperatures, interface.preprocess
    parity = check_parity(network, graphs, images.golden, temperatures)
    check_heat(graphs, images.golden, temperatures)
    measured: dict[str, Any] = {"parity": asdict(parity)}
    stages = {"fp32": graphs.stages}
    if images.quantisation is not None:
        stages["int8"] = quantise_stages(graphs.stages, images.quantisation)
        compared = np.concatenate([images.golden, images.quantisation])
        measured["int8"] = asdict(quantised_agreement(graphs.stages, stages["int8"], compared, temperatures))
    names = {kind: tuple(f"{kind}/stage{index}.onnx" for index in range(len(each))) for kind, each in stages.items()}
    chain, drawn = StageChain(graphs.stages), draw_originals(preprocess)
    pixels = np.stack([preprocess(data) for data in drawn.values()])
    originals = Originals(drawn, pixels, calibrated(chain.logits(pixels), temperatures))
    answers = calibrated(chain.logits(images.golden), temperatures)
    golden = Golden(images.golden, answers, tuple(map(int, images.golden_labels)))
    kept = {} if images.calibration is None else _calibration_data(images.calibration, stages, images.quantisation)
    info = kept["fp32"].info(retrained=images.calibration.network is not None) if images.calibration else None
    spec = network.spec
    manifest = Manifest(
        classes=interface.classes,
        ordinal=interface.ordinal,
        preprocess=preprocess,
        exits=tuple(map(ExitInfo, spec.exits, spec.macs(), spec.params(), map(float, temperatures))),
        stages=names,
        policies={THRESHOLD: Thresholds(calibration.signal, tuple(map(float, calibration.thresholds)))},
        default_policy=default_policy(len(spec.exits), info).policy,
        calibration=info,
        heat=tuple(f"heat/stage{index}.onnx" for index in range(len(graphs.heat))),
        originals=tuple(originals.files),
        provenance=_printable({**description.provenance, **measured}),
    )
    parts = {
        **{name: graph for kind in stages for name, graph in zip(names[kind], stages[kind], strict=True)},
        **dict(zip(manifest.heat, graphs.heat, strict=True)),
        **golden_parts(golden),
        **original_parts(originals),
        **(calibration_parts(kept) if kept else {}),
        manifest.full: graphs.full,
        CARD: description.card.encode(errors="backslashreplace"),  # names of files that are not UTF-8
    }
    with files.replacing(path) as temporary:
        manifest = write_bundle(temporary, manifest, parts)
        _prove(temporary)
    return manifest


def _calibration_data(
    images: CalibrationImages, stages: Mapping[str, tuple[bytes, ...]], quantisation: NDArray[np.uint8] | None
) -> dict[str, CalibrationData]:
    """Return the answers to the calibration images, by precision."""
    if images.network is not None:
        fp32 = export_graphs(images.network).stages
        stages = {"fp32": fp32} | ({} if quantisation is None else {"int8": quantise_stages(fp32, quantisation)})
    groups, labels = images.groups.astype(np.int32), images.labels.astype(np.int32)
    return {
        name: CalibrationData(StageChain(each).logits(images.images), groups, labels) for name, each in stages.items()
    }


def _check(network: AnytimeClassifier, interface: Interface, calibration: Calibration, images: ExportImages) -> None:
    spec, preprocess, classes = network.spec, interface.preprocess, interface.classes
    temperatures, thresholds = calibration.temperatures, calibration.thresholds
    if (3, preprocess.height, preprocess.width) != spec.input or len(classes) != spec.classes:
        raise ExportError(
            f"the network takes {spec.input} and has {spec.classes} classes; preprocessing gives"
            f" {(3, preprocess.height, preprocess.width)} and there are {len(classes)} class names"
        )
    if len(temperatures) != len(spec.exits) or len(thresholds) != len(spec.exits) - 1:
        raise ExportError(
            f"{len(spec.exits)} exits need as many temperatures, got {len(temperatures)},"
            f" and one threshold less, got {len(thresholds)}"
        )
    if not len(images.golden) or len(images.golden) != len(images.golden_labels):
        raise ExportError(
            f"{len(images.golden)} golden images and {len(images.golden_labels)} labels;"
            " one image or more, and a label for each, are needed"
        )


def _printable(values: Any) -> Any:
    """Return plain JSON as it will be read: names of files that are not UTF-8, and control characters, are escaped."""
    if isinstance(values, Mapping):
        return {one_line(str(key)): _printable(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_printable(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return one_line(values) if isinstance(values, str) else values


def _prove(path: Path) -> None:
    """Load the file as a sorting line would, and check all of it; raise `ExportError` where anything is wrong."""
    Grader.load(path, provider="cpu")
    if failed := [finding for finding in verify_bundle(Bundle.open(path), "cpu") if not finding.ok]:
        raise ExportError("; ".join(f"{finding.check}: {finding.detail}" for finding in failed))
