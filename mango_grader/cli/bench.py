"""`mango-grader bench`: how fast a model is on this host, kept for deadlines and for `--precision auto`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mango_grader.cli.options import json_option, model_option, print_json, progress_option, provider_option
from mango_grader.progress import Progress

if TYPE_CHECKING:
    from rich.table import Table

    from mango_grader.runtime.inference.host_profile import HostProfile


@click.command()
@model_option
@click.option("--data", metavar="DIR", help="Measure decoding on the images in DIR instead of drawn JPEGs.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Measure with one thread and with this many, as many as will grade; one per core by default.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=30.0,
    show_default=True,
    help="How long to measure, about.",
)
@provider_option
@json_option
@progress_option
def bench(
    model: str,
    data: str | None,
    workers: int | None,
    seconds: float,
    provider: str,
    as_json: bool,
    progress: Progress,
) -> None:
    """Measure how fast a model is on this host.

    Latency of each stage for one image at a time, throughput by batch size and workers, decoding by image size, memory,
    and fp32 against int8. Run it where the model will grade, beside whatever runs there then. The result is kept in the
    user's cache folder, where --policy deadline:25ms and --precision auto look for it.
    """
    from mango_grader.runtime.bench import Benchmark, drawn_sets, photo_set
    from mango_grader.runtime.bundle.archive import Bundle
    from mango_grader.runtime.inference.precision import choose_precision

    bundle = Bundle.open(model)
    images = drawn_sets() if data is None else [photo_set(data)]
    profile = Benchmark(bundle, images, provider, workers, seconds).run(progress)
    path = profile.write(bundle)
    choice = choose_precision(bundle)
    if as_json:
        auto = {"precision": choice.precision, "reason": choice.reason}
        print_json(profile.summary() | {"auto_precision": auto, "path": str(path)})
        return
    _print(profile)
    click.echo(f"\n--precision auto takes {choice}\nkept in {path}")


def _print(profile: "HostProfile") -> None:
    from mango_grader.cli.console import open_console

    console = open_console()
    host = profile.host
    cores = f"{profile.cores} {'core' if profile.cores == 1 else 'cores'}"
    console.print(f"{host.cpu}, {cores}, onnxruntime {host.onnxruntime}, {profile.latency[0].provider}")
    for title, table in _tables(profile):
        console.print(f"\n{title}")
        console.print(table)
    if profile.memory is not None:
        models = ", ".join(f"{precision} {size:.0f} MB" for precision, size in profile.memory.model.items())
        console.print(f"\nmemory: loading {models}; the whole process {profile.memory.peak:.0f} MB at most")


def _tables(profile: "HostProfile") -> "Iterator[tuple[str, Table]]":
    yield "latency of one image at a time, in ms", _latency(profile)
    yield "throughput without decoding, in images per second", _throughput(profile)
    yield "decoding and resizing by one thread", _decoding(profile)


def _latency(profile: "HostProfile") -> "Table":
    from mango_grader.runtime.inference.host_profile import QUANTILES

    table = _table("precision", "workers", "stage", *QUANTILES, "images")
    for one in profile.latency:
        rows = {str(number): stage for number, stage in enumerate(one.quantiles(), 1)} | {"all": one.whole()}
        for stage, values in rows.items():
            times = [f"{values[name]:.3g}" for name in QUANTILES]
            table.add_row(one.precision, str(one.workers), stage, *times, str(len(one.samples[0])))
    return table


def _throughput(profile: "HostProfile") -> "Table":
    table = _table("precision", "workers", "batch", "images/s")
    for one in profile.throughput:
        table.add_row(one.precision, str(one.workers), str(one.batch), f"{one.images_per_s:,.0f}")
    return table


def _decoding(profile: "HostProfile") -> "Table":
    table = _table("images", "megapixels", "ms", "ms per megapixel")
    for one in profile.decoding:
        table.add_row(one.images, f"{one.megapixels:.1f}", f"{one.ms:.1f}", f"{one.ms_per_megapixel:.1f}")
    return table


def _table(*titles: str) -> "Table":
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
