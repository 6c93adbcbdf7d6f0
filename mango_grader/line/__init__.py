"""The conveyor: belt images in, one decision per fruit out. It imports no torch and opens no socket unasked."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.line.annotation import AnnotatedClip, Annotator
    from mango_grader.line.belt import Axes, Belt, Camera, Lane
    from mango_grader.line.calibration import PaletteEstimate, estimate_palette, learn_palette
    from mango_grader.line.config import LineConfig, read_config
    from mango_grader.line.crops import CropConfig, cut
    from mango_grader.line.decision import Decision
    from mango_grader.line.finders import FINDERS, Finder
    from mango_grader.line.frame import Frame
    from mango_grader.line.grading import FUSIONS, Answer, Evidence, FruitGrader, Fusion, GradingConfig, Work
    from mango_grader.line.line import Line, LineOptions
    from mango_grader.line.log import LogFolder
    from mango_grader.line.loop import Observer
    from mango_grader.line.observations import Blob, Box, Passage, Sighting
    from mango_grader.line.outlets import Due, OutletMap, OutletRule, OutletsConfig
    from mango_grader.line.recording import Recording
    from mango_grader.line.replaying import replay
    from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings
    from mango_grader.line.sinks import (
        SINKS,
        DecisionReader,
        Deliveries,
        Delivery,
        DeliveryState,
        Moment,
        RunInfo,
        Sink,
    )
    from mango_grader.line.sources import (
        Buffered,
        FrameFolder,
        GivenFrames,
        HotFolder,
        LiveCamera,
        ModbusEncoder,
        ModbusRegister,
        Source,
        SourceCounts,
        SourceOptions,
        Video,
        WithTicks,
        buffered,
        open_source,
    )
    from mango_grader.line.tables import write_table
    from mango_grader.line.tally import Tally
    from mango_grader.line.tracking import Tracker, TrackingConfig, Update, make_tracker

__all__ = [
    "FINDERS", "FUSIONS", "SINKS", "AnnotatedClip", "Annotator", "Answer", "Axes", "Belt", "Blob", "Box", "Buffered",
    "Camera", "CropConfig", "Decision", "DecisionReader", "Deliveries", "Delivery", "DeliveryState", "Due", "Evidence",
    "Finder", "Frame", "FrameFolder", "FruitGrader", "Fusion", "GivenFrames", "GradingConfig", "HotFolder", "Lane",
    "Line", "LineConfig", "LineOptions", "LiveCamera", "LogFolder", "ModbusEncoder", "ModbusRegister", "Moment",
    "Observer", "OutletMap", "OutletRule", "OutletsConfig", "PaletteEstimate", "Passage", "Recording", "RunInfo",
    "Sighting", "SimulatedBelt", "SimulatorSettings", "Sink", "Source", "SourceCounts", "SourceOptions", "Tally",
    "Tracker", "TrackingConfig", "Update", "Video", "WithTicks", "Work", "buffered", "cut", "estimate_palette",
    "learn_palette", "make_tracker", "open_source", "read_config", "replay", "write_table",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "annotation": ("AnnotatedClip", "Annotator"),
        "belt": ("Axes", "Belt", "Camera", "Lane"),
        "calibration": ("PaletteEstimate", "estimate_palette", "learn_palette"),
        "config": ("LineConfig", "read_config"),
        "crops": ("CropConfig", "cut"),
        "decision": ("Decision",),
        "finders": ("FINDERS", "Finder"),
        "frame": ("Frame",),
        "grading": ("FUSIONS", "Answer", "Evidence", "FruitGrader", "Fusion", "GradingConfig", "Work"),
        "line": ("Line", "LineOptions"),
        "log": ("LogFolder",),
        "loop": ("Observer",),
        "observations": ("Blob", "Box", "Passage", "Sighting"),
        "outlets": ("Due", "OutletMap", "OutletRule", "OutletsConfig"),
        "recording": ("Recording",),
        "replaying": ("replay",),
        "simulator": ("SimulatedBelt", "SimulatorSettings"),
        "sinks": ("SINKS", "DecisionReader", "Deliveries", "Delivery", "DeliveryState", "Moment", "RunInfo", "Sink"),
        "sources": (
            "Buffered",
            "FrameFolder",
            "GivenFrames",
            "HotFolder",
            "LiveCamera",
            "ModbusEncoder",
            "ModbusRegister",
            "Source",
            "SourceCounts",
            "SourceOptions",
            "Video",
            "WithTicks",
            "buffered",
            "open_source",
        ),
        "tables": ("write_table",),
        "tally": ("Tally",),
        "tracking": ("Tracker", "TrackingConfig", "Update", "make_tracker"),
    },
)
