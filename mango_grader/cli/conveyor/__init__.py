"""`mango-grader conveyor`: a table of its commands, each imported only when it is called."""

import click

from mango_grader.cli import Entry, LazyGroup

__all__ = ["CONVEYOR_COMMANDS", "conveyor"]

CONVEYOR_COMMANDS: dict[str, Entry] = {
    "run": Entry("conveyor.run", "run", "Grade the fruit on a belt; one decision per fruit."),
    "replay": Entry("conveyor.replay", "replay", "Make the decisions of a run again, bit for bit."),
    "verify": Entry("conveyor.verify", "verify", "Check that the log of a run is what was written."),
    "calibrate": Entry("conveyor.calibrate", "calibrate", "Write the configuration of a line from frames of its belt."),
    "report": Entry("conveyor.report", "report", "Write the lot report of a run: one HTML page."),
    "fusion": Entry("conveyor.fusion", "fusion", "Fit how the views of one fruit are fused, and compare fusions."),
    "crops": Entry("conveyor.crops", "crops", "Cut training crops of the fruit on a belt, as the line cuts them."),
    "simulate": Entry("conveyor.simulate", "simulate", "Simulate a belt of mangoes, with the truth about each fruit."),
}


@click.group(
    cls=LazyGroup,
    table=CONVEYOR_COMMANDS,
    short_help="Grade fruit on a belt: one decision for each, in a table and in a PLC.",
)
def conveyor() -> None:
    """Grade fruit on a belt: find each fruit, follow it, look at it from several sides, and decide once.

    `conveyor calibrate` writes the configuration of a line, `conveyor run` uses it.
    """
