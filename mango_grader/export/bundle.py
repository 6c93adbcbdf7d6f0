"""The last step of a run: one .mango file that has proved to answer as the trained network does."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader import files
from mango_grader.errors import ExportError
from mango_grader.export.chain import StageChain
from mango_grader.export.onnx_graphs import export_graphs
from mango_grader.export.originals import draw_originals
from mango_grader.export.parity import calibrated, check_parity, quantised_agreement
from mango_grader.export.quantise import quantise_stages
from mango_grader.models import AnytimeClassifier
from mango_grader.runtime.bundle.archive import CARD, Bundle, write_bundle
from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
from mango_grader.runtime.bundle.manifest import ExitInfo, Manifest
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.verify import verify_bundle
from mango_grader.text import one_line

THRESHOLD = "threshold"


def export_bundle(
    path: str | os.PathLike[str],
    network: AnytimeClassifier,
    *,
    classes: Sequence[str],
    ordinal: bool,
    preprocess: Preprocess,
    temperatures: Sequence[float],
    thresholds: Sequence[float],
    golden_images: NDArray[np.uint8],
    golden_labels: Sequence[int],
    calibration_images: NDArray[np.uint8],
    provenance: Mapping[str, Any],
    card: str,
    int8: bool = True,
) -> Manifest:
    """Export `network` to `path`, prove the result, and return its manifest; nothing is left there on failure.

    `temperatures` holds one value per exit, `thresholds` one per exit but the last (they become the policy
    "threshold", the default where there are several exits). `golden_images` (G, H, W, 3) are preprocessed images that
    every load re-checks; their answers are those of the stages, after these have matched torch within 1e-4.
    `calibration_images` (N, H, W, 3) come from the training part and set the int8 ranges; `int8=False` leaves the int8
    stages out. The bundle gains four drawn image files, which every load preprocesses again. `provenance` gains
    "parity" and "int8", the measured agreements.
    Raises `ExportError` where the parts do not fit or the graphs do not agree.
    """
    _check(network, classes, preprocess, temperatures, thresholds, golden_images, golden_labels)
    graphs = export_graphs(network)
    parity = check_parity(network, graphs, golden_images, temperatures)
    measured: dict[str, Any] = {"parity": asdict(parity)}
    stages = {"fp32": graphs.stages}
    if int8:
        stages["int8"] = quantise_stages(graphs.stages, calibration_images)
        images = np.concatenate([golden_images, calibration_images])
        measured["int8"] = asdict(quantised_agreement(graphs.stages, stages["int8"], images, temperatures))
    names = {kind: tuple(f"{kind}/stage{index}.onnx" for index in range(len(each))) for kind, each in stages.items()}
    chain, drawn = StageChain(graphs.stages), draw_originals(preprocess)
    pixels = np.stack([preprocess(data) for data in drawn.values()])
    originals = Originals(drawn, pixels, calibrated(chain.logits(pixels), temperatures))
    answers = calibrated(chain.logits(golden_images), temperatures)
    golden = Golden(golden_images, answers, tuple(map(int, golden_labels)))
    spec = network.spec
    manifest = Manifest(
        classes=tuple(classes),
        ordinal=ordinal,
        preprocess=preprocess,
        exits=tuple(map(ExitInfo, spec.exits, spec.macs(), spec.params(), map(float, temperatures))),
        stages=names,
        policies={THRESHOLD: tuple(map(float, thresholds))},
        default_policy=THRESHOLD if len(spec.exits) > 1 else "full",
        originals=tuple(originals.files),
        provenance=_printable({**provenance, **measured}),
    )
    parts = {
        **{name: graph for kind in stages for name, graph in zip(names[kind], stages[kind], strict=True)},
        **golden_parts(golden),
        **original_parts(originals),
        manifest.full: graphs.full,
        CARD: card.encode(errors="backslashreplace"),  # names of files that are not UTF-8
    }
    with files.replacing(path) as temporary:
        manifest = write_bundle(temporary, manifest, parts)
        _prove(temporary)
    return manifest


def _check(
    network: AnytimeClassifier,
    classes: Sequence[str],
    preprocess: Preprocess,
    temperatures: Sequence[float],
    thresholds: Sequence[float],
    golden_images: NDArray[np.uint8],
    golden_labels: Sequence[int],
) -> None:
    spec = network.spec
    if (3, preprocess.height, preprocess.width) != spec.input or len(classes) != spec.classes:
        raise ExportError(
            f"the network takes {spec.input} and tells {spec.classes} classes apart; preprocessing gives"
            f" {(3, preprocess.height, preprocess.width)} and there are {len(classes)} class names"
        )
    if len(temperatures) != len(spec.exits) or len(thresholds) != len(spec.exits) - 1:
        raise ExportError(
            f"{len(spec.exits)} exits need as many temperatures, got {len(temperatures)},"
            f" and one threshold less, got {len(thresholds)}"
        )
    if not len(golden_images) or len(golden_images) != len(golden_labels):
        raise ExportError(f"{len(golden_images)} golden images and {len(golden_labels)} labels prove nothing")


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
    """Load the file as a sorting line would, and check all of it; raise `ExportError` where anything is amiss."""
    Grader.load(path, provider="cpu")
    if failed := [finding for finding in verify_bundle(Bundle.open(path), "cpu") if not finding.ok]:
        raise ExportError("; ".join(f"{finding.check}: {finding.detail}" for finding in failed))
