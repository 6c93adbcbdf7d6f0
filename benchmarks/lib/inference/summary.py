"""The claims that inference.py checks, each with its figure and goal, from the figures of its measurements."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.lib.inference.networks import USUAL

OURS, YOLO, MSDNET = "ours", "yolo11n_cls", "msdnet"
_SPARE = 0.07  # by which exit 1 may take a larger share of the full graph's time than of its multiply-adds

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Way:
    """One way to use a network, pooled over folds.

    Attributes:
        name: of the exit policy.
        correct: whether each test image is answered correctly, (N,).
        ms: CPU milliseconds of an image.
        macs: multiply-adds of an image.
    """

    name: str
    correct: Any
    ms: float
    macs: float

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return float(np.mean(self.correct))

    def row(self) -> dict[str, Any]:
        """Return what the summary says of it."""
        return {"policy": self.name, "accuracy": self.accuracy, "images_per_s": 1e3 / self.ms, "macs": self.macs}


def summarise(figures: Figures) -> list[dict[str, Any]]:
    """Return a row for each claim that was measured: what, value, goal and whether it is met."""
    rows = [*_starting(figures), *_photos(figures), *_exits(figures), *_default(figures), *_rivals(figures)]
    return [*rows, *_msdnet(figures), *_yolo(figures)]


def _claim(what: str, value: float, goal: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a row; a goal is "<= 0.3" or ">= 0.9", and None for a figure that has none."""
    met = None
    if goal is not None:
        sign, limit = goal.split()
        met = value <= float(limit) if sign == "<=" else value >= float(limit)
    return {"what": what, "value": value, "goal": goal, "met": met, **more}


def _starting(figures: Figures) -> Iterator[dict[str, Any]]:
    if found := figures.get("start/help"):
        yield _claim("--help of any command, CPU s at most", found["most_s"], "<= 0.25", n=len(found["cpu_s"]))
    if found := figures.get("start/load"):
        yield _claim("Grader.load with its check, s", found["load_s"], "<= 0.3", n=found["rounds"])
        yield _claim("import of mango_grader.runtime, s", found["import_s"], n=found["rounds"])


def _photos(figures: Figures) -> Iterator[dict[str, Any]]:
    for name, found in figures.items():
        if not name.startswith("photos/"):
            continue
        size = name.removeprefix("photos/")
        for workers, share in found["share_of_decoding"].items():
            what = f"grading {size} photos, share of decoding's speed, {workers} workers"
            yield _claim(what, share, ">= 0.9", n=found["photos"])
        yield _claim(f"grading {size} photos, two workers to one", found["two_workers_to_one"], ">= 1.8")
        parts = found["cpu_ms"]
        work = parts["decoding"] + parts["fitting"] + parts["network"]
        spent = float(np.median(found["grade_s"]["1"])) / found["photos"] * 1e3
        yield _claim(f"grading {size} photos, time beyond decoding, fitting and network, share", spent / work - 1)
        most = parts["decoding alone"] / work
        yield _claim(f"grading {size} photos, share of decoding's speed if nothing else took time", most)
    if found := figures.get("memory"):
        few, many = found["peak_mib"]
        yield _claim(f"peak memory of {many} images over that of {few}, growth", found["growth"], "<= 0.1")
    if found := figures.get("stream"):
        what = "stream, p99 from hand-in to answer over decoding + full inference"
        yield _claim(what, found["answer_to_decode_and_full"]["p99"], "<= 1.3", n=found["frames"])


def networks(figures: Figures, name: str) -> dict[int, Any]:
    """Return the figures of a network, by fold."""
    start = f"network/{name}/fold-"
    return {int(key.removeprefix(start)): found for key, found in figures.items() if key.startswith(start)}


def _exits(figures: Figures) -> Iterator[dict[str, Any]]:
    folds = list(networks(figures, OURS).values())
    if not folds:
        return
    share = float(np.mean([each["macs"][0] / each["macs"][-1] for each in folds]))
    for beside, column in (("full.onnx", "graph_ms"), ("full.onnx and its probabilities", "usual_ms")):
        first, chained = (
            float(np.mean([each["policies"][policy]["ms"] / each[column] for each in folds]))
            for policy in ("exit:1", "full")
        )
        goal = f"<= {share + _SPARE:.3f}"
        yield _claim(f"exit 1 over {beside}", first, goal, n=len(folds), share_of_macs=share)
        yield _claim(f"chained stages over {beside}", chained, "<= 1.1", n=len(folds))


def _default(figures: Figures) -> Iterator[dict[str, Any]]:
    folds = networks(figures, OURS)
    if not folds:
        return
    default, full = (
        {fold: each["policies"][each["default"] if name is None else name] for fold, each in folds.items()}
        for name in (None, "full")
    )
    ratio = sum(each["ms"] for each in default.values()) / sum(each["ms"] for each in full.values())
    names = ", ".join(sorted({each["default"] for each in folds.values()}))
    lost = _accuracy(full.values()) - _accuracy(default.values())
    what = f"default policy ({names}) over full, inference time"
    yield _claim(what, ratio, "<= 0.7", n=len(folds), points_lost=100 * lost)


def _accuracy(found: Any) -> float:
    answers = "".join(each["correct"] for each in found)
    return answers.count("1") / len(answers)


def ways_of(folds: Mapping[int, Any]) -> dict[str, Way]:
    """Return the exit policies that all folds of a network have, pooled over them."""
    common = set.intersection(*({*each["policies"]} for each in folds.values()))
    ordered = [name for name in next(iter(folds.values()))["policies"] if name in common]
    return {name: _pooled(name, [each["policies"][name] for each in folds.values()]) for name in ordered}


def _pooled(name: str, found: list[Any]) -> Way:
    counts = np.array([len(each["correct"]) for each in found])
    ms, macs = (float(np.average([each[key] for each in found], weights=counts)) for key in ("ms", "macs"))
    return Way(name, np.array([one == "1" for each in found for one in each["correct"]]), ms, macs)


def _rivals(figures: Figures) -> Iterator[dict[str, Any]]:
    """Yield, for each other network, our fastest way that is at least as accurate on the same test images."""
    ours = networks(figures, OURS)
    others = dict.fromkeys(name.split("/")[1] for name in figures if name.startswith("network/") if OURS not in name)
    for rival in others:
        folds = networks(figures, rival)
        shared = {fold: each for fold, each in ours.items() if fold in folds}
        if not shared:
            continue
        assert all(list(each["images"]) == list(folds[fold]["images"]) for fold, each in shared.items())
        mine, theirs = ways_of(shared), ways_of({fold: folds[fold] for fold in shared})
        last = theirs["full"]
        enough = [way for way in mine.values() if way.accuracy >= last.accuracy]
        best = min(enough or mine.values(), key=lambda way: way.ms if enough else -way.accuracy)
        what = f"images/s at the accuracy of {rival}, ours over theirs"
        if not enough:
            what = f"images/s beside {rival}, of which we miss the accuracy, ours over theirs"
        more: dict[str, Any] = {
            "ours": best.row(),
            "theirs": last.row(),
            "images": len(last.correct),
            "folds": len(shared),
        }
        yield _claim(what, last.ms / best.ms, **more)
        answers = _pooled("default", [each["policies"][each["default"]] for each in shared.values()])
        points = 100 * (answers.accuracy - last.accuracy)
        what = f"images/s of our default policy over {rival}"
        yield _claim(what, last.ms / answers.ms, points=points, images=len(last.correct), folds=len(shared))


def _msdnet(figures: Figures) -> Iterator[dict[str, Any]]:
    """Yield what early exit saves an MSDNet when every exit is computed, and when stages run one by one."""
    folds = networks(figures, MSDNET)
    if not folds:
        return
    ways = ways_of(folds)
    if "threshold" not in ways:
        return
    early, full = ways["threshold"], ways["full"]
    counts = [len(next(iter(each["policies"].values()))["correct"]) for each in folds.values()]
    usual = float(np.average([each["usual_ms"] for each in folds.values()], weights=counts))
    more: dict[str, Any] = {"theirs": early.row(), "images": len(early.correct), "folds": len(folds)}
    yield _claim(f"msdnet with early exit, {USUAL}: multiply-adds that are said to be used", early.macs / full.macs)
    yield _claim(f"msdnet with early exit, {USUAL}: time over the full graph", 1.0, **more)
    yield _claim("msdnet with early exit, our stages: time over the full graph", early.ms / usual, **more)


def _yolo(figures: Figures) -> Iterator[dict[str, Any]]:
    if found := figures.get(f"command/{YOLO}"):
        for unit, key in (("ms of an image", "ms"), ("s of the whole command", "command_s")):
            value = found["yolo"][key] / found["ours"][key]
            yield _claim(f"yolo classify predict over grade, {unit}", value, n=found["photos"])
