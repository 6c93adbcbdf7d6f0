"""Training crops: the same finder, tracker and `cut` as on the line, so that a model is trained on what it will see.

images/000012-3.png               a view of a fruit with a label: number of its track, number of the view
ungraded/000012/000012-3.png      a view of a fruit without one; move the folder of each fruit into one of its grade
labels.csv                        image_id, label, fruit_id, lane, frame, along; without a label where it is not known
crops.json                        the settings, so that only the same set is ever continued
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_bytes, write_csv, write_json
from mango_grader.line.config import LineConfig
from mango_grader.line.crops import cut
from mango_grader.line.known_grades import KnownGrades
from mango_grader.line.lens import Lens
from mango_grader.line.observations import Passage, Sighting
from mango_grader.line.sources import Source
from mango_grader.line.tracking import make_tracker
from mango_grader.progress import Progress, SilentProgress
from mango_grader.ranges import Count
from mango_grader.settings import Section, plain

_COLUMNS = ("image_id", "label", "fruit_id", "lane", "frame", "along")
_FINER = 3  # candidates for each view that is kept


@dataclass(frozen=True)
class CropSetOptions(Section):
    """Which crops are written.

    Attributes:
        views: most views of one fruit.
        lot: put before the names of fruit, so that sets of several recordings can lie in one folder; "" for nothing.
    """

    views: Count = 6
    lot: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(letter.isalnum() or letter in "._" for letter in self.lot):
            raise UsageError("the name of a lot has letters, digits, dots and underscores only")

    def fruit_id(self, number: int) -> str:
        """Return the name of a fruit."""
        return f"{self.lot}-{number:06d}" if self.lot else f"{number:06d}"


@dataclass(frozen=True)
class WrittenCrops:
    """What a set of crops holds.

    Attributes:
        fruit: number of fruit with at least one crop.
        crops: number of crops.
        new: number of crops that were not there before.
        unseen: number of fruit that no frame shows whole, and that have no crop.
        labels: number of fruit by label; "" for those without one.
    """

    fruit: int
    crops: int
    new: int
    unseen: int
    labels: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class View:
    """One view of a fruit that may be kept.

    Attributes:
        frame: index of the frame.
        along: position along the belt, in pixels.
        image: (h, w, 3) uint8 RGB, cut from the frame.
    """

    frame: int
    along: float
    image: NDArray[np.uint8]


@dataclass
class Views:
    """The views of one fruit so far, at most so many of them that an even choice can be made.

    Attributes:
        most: number of views to choose in the end.
        apart: least distance of two candidates along the belt, in pixels.
        candidates: kept so far.
    """

    most: int
    apart: float
    candidates: list[View] = field(default_factory=list)

    def wants(self, sighting: Sighting) -> bool:
        """Return whether a sighting is whole, and elsewhere than those before: a standing belt brings nothing new."""
        places = (abs(sighting.along - view.along) for view in self.candidates)
        return sighting.blob.complete and all(place >= self.apart for place in places)

    def chosen(self) -> list[View]:
        """Return the views that are spread most evenly along the belt, in the order of their places."""
        left = sorted(self.candidates, key=lambda view: view.along)
        if len(left) <= self.most:
            return left
        if self.most == 1:
            return [left[len(left) // 2]]
        # Each wanted place takes the nearest view that leaves enough of them for the places that follow.
        wanted = np.linspace(left[0].along, left[-1].along, self.most)
        found: list[View] = []
        first = 0
        for number, place in enumerate(wanted):
            last = len(left) - (self.most - number) + 1
            best = min(range(first, last), key=lambda index: abs(left[index].along - place))
            found.append(left[best])
            first = best + 1
        return found


def best_views(
    source: Source, config: LineConfig, most: int, progress: Progress
) -> Iterator[tuple[Passage, list[View]]]:
    """Yield each fruit of a source when it has passed, with its best views.

    Args:
        source: finite.
        config: of the line.
        most: number of views of one fruit.
        progress: shows how far it is.
    """
    axes, lens = config.axes, Lens(config.camera)
    finder, tracker = config.finder.build(axes), make_tracker(axes, config.tracking)
    open_views: dict[int, Views] = {}
    with progress.task("frames", max(len(source), 1)) as task:
        for frame in map(lens.straighten, source.frames()):
            blobs = [] if frame.image is None else finder.find(frame.image)
            update = tracker.update(frame, blobs)
            for sighting in update.sightings:
                line = axes.decision_line(axes.lane(sighting.across))
                views = open_views.setdefault(sighting.fruit, Views(most, line / (_FINER * most)))
                if frame.image is not None and sighting.along <= line and views.wants(sighting):
                    views.candidates.append(
                        View(frame.index, sighting.along, cut(frame.image, sighting.blob, config.crops))
                    )
            for passage in update.passages:
                yield passage, open_views.pop(passage.fruit, Views(most, 0)).chosen()
            task.advance()
    for passage in tracker.close():
        yield passage, open_views.pop(passage.fruit, Views(most, 0)).chosen()


def write_crops(
    source: Source,
    config: LineConfig,
    folder: str | PathLike[str],
    *,
    grades: KnownGrades | None = None,
    options: CropSetOptions = CropSetOptions(),
    progress: Progress | None = None,
) -> WrittenCrops:
    """Write training crops of all fruit of a finite source; crops that are there already are kept.

    Args:
        source: frames of the belt.
        config: of the line.
        folder: where; made if need be.
        grades: of fruit that are known; None for none.
        options: which crops.
        progress: shows how far it is.

    Raises:
        UsageError: the source never ends, or the folder holds something else.

    Example:
        ```python
        from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings, line_config

        belt = SimulatedBelt(SimulatorSettings(fruit=2, speed=900.0))
        written = write_crops(belt, line_config(belt), "crops", options=CropSetOptions(views=4))
        print(written.fruit, written.crops)
        ```
    """
    if not source.finite:
        raise UsageError(f"{source.name} never ends; record it first, and cut crops from the recording")
    root = Path(folder)
    _claim(root, source, config, options)
    rows: list[tuple[str, str, str, int, int, float]] = []
    labels: Counter[str] = Counter()
    new = unseen = 0
    for passage, views in best_views(source, config, options.views, progress or SilentProgress()):
        name = options.fruit_id(passage.fruit)
        label = grades.label_of(passage, name) if grades else ""
        unseen += not views
        labels[label] += bool(views)
        for number, view in enumerate(views, 1):
            place = f"images/{name}-{number}.png" if label else f"ungraded/{name}/{name}-{number}.png"
            if not (root / place).exists():
                write_bytes(root / place, _png(view.image))
                new += 1
            rows.append((place, label, name, passage.lane, view.frame, round(view.along, 1)))
    write_csv(root / "labels.csv", _COLUMNS, rows)
    counts = {label: labels[label] for label in sorted(labels) if labels[label]}
    return WrittenCrops(sum(counts.values()), len(rows), new, unseen, counts)


def _claim(root: Path, source: Source, config: LineConfig, options: CropSetOptions) -> None:
    tables = config.to_dict()
    used = {name: tables[name] for name in ("camera", "belt", "finder", "tracking", "crops")}
    settings = {"source": Path(source.name).name, "frames": len(source), **plain(options), **used}
    path = root / "crops.json"
    if path.is_file():
        if read_json(path) != settings:
            raise UsageError(f"{root} holds crops of another source or with other settings (see {path.name})")
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists and holds no crops; choose another folder")
    else:
        write_json(path, settings)


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
