"""What the ideas of close_the_gap.py gain on a peer of peers.py, from the answers that both scripts kept.

    python -m benchmarks.suite.against_peers --peer efficientnet_lite0

Nothing is trained. Both were tested on the same folds of the same split, so differences of last exits are paired by
image; intervals come from a bootstrap over groups.

Time: a minute. Hardware: 1 CPU core. n: 676 images, each tested once.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from benchmarks.lib.conditions import conditions
from benchmarks.lib.measurements import RESULTS, Ledger, figures_of
from benchmarks.lib.peers.catalogue import Scale
from benchmarks.lib.peers.runs import Pack, pack_fold
from benchmarks.lib.peers.summary import measurement_name
from benchmarks.lib.plots import draw_intervals
from mango_grader.files import read_json
from mango_grader.training.bootstrap import paired_difference

_SPLIT = ("data", "group_by", "folds", "seed")


def gain_of(
    idea: str, ideas: Mapping[str, Any], peer: str, peers: Mapping[str, Any], packs: Mapping[int, Pack]
) -> dict[str, Any] | None:
    """Return the idea's last exit minus the peer's on the test images of the folds that both have; None without one.

    ideas, peers: figures by the names of their measurements.
    """
    folds = [fold for fold in packs if f"{idea}/{fold}" in ideas and measurement_name(peer, fold) in peers]
    if not folds:
        return None
    own, other, groups = [], [], []
    for fold in folds:
        answered = ideas[f"{idea}/{fold}"]
        last = dict(zip(answered["images"], (letter == "1" for letter in answered["correct"][-1]), strict=True))
        own += [last[path] for path in packs[fold].paths()]
        other += [letter == "1" for letter in peers[measurement_name(peer, fold)]["correct"][-1]]
        groups += packs[fold].groups()
    difference = paired_difference(np.array(own), np.array(other), groups, seed=0)
    return {"folds": folds, "n": len(own), "idea": np.mean(own), "peer": np.mean(other), **asdict(difference)}


def ranked(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ideas, those on more folds first, then those that gain most."""
    rows = [{"name": name, **row} for name, row in figures.items()]
    return sorted(rows, key=lambda row: (-len(row["folds"]), -row["value"]))


@click.command()
@click.option("--ideas", type=click.Path(exists=True, path_type=Path), default=RESULTS / "close_the_gap.json")
@click.option("--peers", type=click.Path(exists=True, path_type=Path), default=RESULTS / "peers.json")
@click.option("--peer", default="efficientnet_lite0", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS / "against_peers.json")
def main(ideas: Path, peers: Path, peer: str, out: Path) -> None:
    """Compare, write the JSON, draw and print a table."""
    one, other = read_json(ideas), read_json(peers)
    if different := [name for name in _SPLIT if one["setup"][name] != other["setup"][name]]:
        raise click.UsageError(f"{ideas} and {peers} differ in {', '.join(different)}: nothing to pair")
    scale = Scale(**other["setup"])
    found, theirs = figures_of(one), figures_of(other)
    ledger = Ledger("against_peers", out, {"peer": peer, **{name: other["setup"][name] for name in _SPLIT}}, ranked)
    with TemporaryDirectory() as work:
        packs = {
            fold: pack_fold(scale.searched(fold).config().data, Path(work) / f"fold-{fold}")
            for fold in range(1, scale.folds + 1)
        }
        under = conditions()
        for name in dict.fromkeys(each.rsplit("/", 1)[0] for each in found):
            if gain := gain_of(name, found, peer, theirs, packs):
                ledger.add(name, gain, 0.0, under)
    summary = ledger.save()
    names = [f"{row['name']} ({len(row['folds'])} fold{'s' * (len(row['folds']) > 1)})" for row in summary]
    label = f"gain on {peer}, last exit, points on test, with its 95 % interval over groups"
    draw_intervals(names, summary, label, out.with_suffix(".png"))
    for row in summary:
        own, its, value, low, high = (100 * row[name] for name in ("idea", "peer", "value", "low", "high"))
        click.echo(
            f"{row['name']:44}{len(row['folds'])} folds  {own:.1f} against {its:.1f} %  "
            f"{value:+.1f} ({low:+.1f} to {high:+.1f}), p = {row['p']:.3f}"
        )


if __name__ == "__main__":
    main()
