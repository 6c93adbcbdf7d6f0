"""`mango-grader info`: what a model says about itself."""

from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.console import open_console
from mango_grader.cli.options import json_option, print_json

if TYPE_CHECKING:
    from mango_grader.runtime.bundle import Bundle


@click.command(short_help="Print what a .mango model says about itself.")
@click.argument("model", metavar="MODEL")
@json_option
def info(model: str, as_json: bool) -> None:
    """Print the manifest of MODEL, a .mango file or the folder of a finished run."""
    from mango_grader.runtime.bundle import Bundle

    bundle = Bundle.open(model)
    if as_json:
        print_json({"path": str(bundle.path), "digest": bundle.digest, **bundle.manifest.to_dict()})
    else:
        _print(bundle)


def _print(bundle: "Bundle") -> None:
    from rich.table import Table

    from mango_grader.runtime.guessing import Guessing

    manifest = bundle.manifest
    fit = manifest.preprocess
    order = " < ".join(manifest.classes) if manifest.ordinal else ", ".join(manifest.classes)
    turned = ", portrait images turned" if fit.rotate_portrait else ""
    guessing = Guessing.from_provenance(manifest.provenance)
    policies = [f"{name} {_numbers(values)}" for name, values in manifest.policies.items()]
    lines = {
        "model": f"{bundle.path} ({bundle.path.stat().st_size / 1e6:.2f} MB, schema {manifest.schema})",
        "digest": bundle.digest,
        "classes": order,
        "input": f"{fit.height} × {fit.width} pixels, letterboxed on {fit.fill}{turned}",
        "precisions": ", ".join(manifest.stages),
        "policies": "; ".join(["full", f"exit:1 … exit:{len(manifest.exits)}", *policies]),
        "default policy": manifest.default_policy,
        **({"lacks": manifest.lacks} if manifest.lacks else {}),
        **{key: _plain(value) for key, value in manifest.provenance.items() if key != "guessing" or guessing is None},
    }
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(f"{key:{width}}  {value}")
    table = Table("exit", "name", "MACs", "parameters", "temperature", box=None, pad_edge=False)
    for column in (table.columns[0], *table.columns[2:]):
        column.justify = "right"
    for number, one in enumerate(manifest.exits, 1):
        table.add_row(str(number), one.name, f"{one.macs:,}", f"{one.params:,}", f"{one.temperature:.3f}")
    click.echo()
    open_console().print(table)
    if guessing is not None:
        click.echo(f"\n{guessing}")


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"


def _plain(value: Any) -> str:
    """Return nested provenance on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(_plain, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
