"""What the steps of one run have in common."""

from dataclasses import dataclass, field, replace

from mango_grader.automl.timetable import Stopwatch
from mango_grader.progress import Progress
from mango_grader.training.device import Device
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.data import PreparedData, on_device, refitted
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class RunContext:
    """What every step of a run works with.

    Attributes:
        folder: where the run keeps its files.
        config: every setting.
        data: the images, decoded and split.
        device: where networks compute.
        progress: what is told of the run while it goes on.
        watch: seconds that the run has taken so far, killed processes included.
    """

    folder: RunFolder
    config: RunConfig
    data: PreparedData
    device: Device
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def on_all_images(self) -> "RunContext":
        """The same run with the validation images among the training ones, too."""
        return replace(self, data=self.data.with_val())

    def at_size(self, height: int, width: int) -> "RunContext":
        """Return the same run with its labelled images at another size, decoded anew from the files.

        Args:
            height: of the images, in pixels.
            width: of the images, in pixels.
        """
        config = self.config.data
        if (height, width) == (config.height, config.width):
            return self
        data = refitted(self.data, height, width, self.folder.cache, self.progress)
        sized = replace(self.config, data=replace(config, height=height, width=width))
        return replace(self, config=sized, data=on_device(data, self.device))
