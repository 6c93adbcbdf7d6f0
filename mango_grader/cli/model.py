"""`mango-grader info` and `mango-grader verify`: what a model says about itself, and whether that still holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.options import json_option, print_json, provider_option
from mango_grader.errors import BundleError
from mango_grader.text import counted, one_line

_NAMES = {
    "labels_sha256": "digest of labels",
    "test_images": "test images",
    "init_from": "started from",
    "inherited": "inherited from the search",
    "teacher_test_accuracy": "teacher's test accuracy",
    "refit": "retrained on training and validation images",
}

if TYPE_CHECKING:
    from mango_grader.runtime.bundle.archive import Bundle
    from mango_grader.runtime.bundle.manifest import CalibrationInfo


@click.command()
@click.argument("model", metavar="MODEL")
@json_option
def info(model: str, as_json: bool) -> None:
    """Print the manifest of MODEL, a .mango file or the folder of a finished run, and how fast it is here.

    The speed is known once `mango-grader bench` has measured it.
    """
    from mango_grader.runtime.bundle.archive import Bundle

    bundle = Bundle.open(model)
    if as_json:
        from mango_grader.runtime.inference.host_profile import HostProfile

        profile, auto = HostProfile.read(bundle), _auto_precision(bundle)
        here = {"measured_here": None if profile is None else profile.summary(), "auto_precision": auto}
        print_json({"path": str(bundle.path), "digest": bundle.digest, **bundle.manifest.to_dict(), **here})
    else:
        _print(bundle)


@click.command()
@click.argument("model", metavar="MODEL")
@provider_option
@json_option
@click.pass_context
def verify(ctx: click.Context, /, model: str, provider: str, as_json: bool) -> None:
    """Check all parts of MODEL, a .mango file or the folder of a finished run, and recompute its golden answers.

    The exit code is 1 if a check fails.
    """
    from mango_grader.runtime.bundle.archive import Bundle
    from mango_grader.runtime.bundle.guessing import Guessing
    from mango_grader.runtime.inference.verify import verify_bundle

    bundle = Bundle.open(model)
    findings = verify_bundle(bundle, provider)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok    ' if finding.ok else 'FAILED'}  {finding.check}: {finding.detail}")
        if (guessing := Guessing.from_provenance(bundle.manifest.provenance)) is not None:
            click.echo(f"{'note  ' if guessing.verdict == 'better' else 'WARNING'}  {guessing}")
    ctx.exit(0 if all(finding.ok for finding in findings) else 1)


def _print(bundle: "Bundle") -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console
    from mango_grader.runtime.bundle.guessing import Guessing
    from mango_grader.runtime.exits import explain_default

    manifest = bundle.manifest
    fit = manifest.preprocess
    order = " < ".join(manifest.classes) if manifest.ordinal else ", ".join(manifest.classes)
    turned = ", portrait images rotated" if fit.rotate_portrait else ""
    guessing = Guessing.from_provenance(manifest.provenance)
    told = {key: value for key, value in manifest.provenance.items() if key != "guessing" or guessing is None}
    count = len(manifest.exits)
    policies = [f"{name} {tuned.signal} {_numbers(tuned.values)}" for name, tuned in manifest.policies.items()]
    lines = {
        "model": f"{bundle.path} ({bundle.path.stat().st_size / 1e6:.2f} MB, schema {manifest.schema})",
        "digest": bundle.digest,
        "classes": order,
        "input": f"{fit.height} × {fit.width} pixels, letterboxed on {fit.fill}{turned}",
        "precisions": ", ".join(manifest.stages),
        "policies": "; ".join(["full", f"exit:1 … exit:{count}" if count > 1 else "exit:1", *policies]),
        "default policy": explain_default(manifest.default_policy, count, manifest.calibration),
        "default decision rule": manifest.default_decide,
        "calibration data": _calibration(manifest.calibration),
        "speed here": _speed(bundle),
        "precision auto": "{precision}: {reason}".format_map(_auto_precision(bundle)),
        **({"missing": "; ".join(manifest.lacks)} if manifest.lacks else {}),
        **dict(_provenance(told)),
    }
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(one_line(f"{key:{width}}  {value}"))
    titles = ("work per image (multiply-adds)", "size (parameters)", "confidence divisor (temperature)")
    table = Table("exit", "name", *titles, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in (table.columns[0], *table.columns[2:]):
        column.justify = "right"
    for number, one in enumerate(manifest.exits, 1):
        table.add_row(str(number), one.name, f"{one.macs:,}", f"{one.params:,}", f"{one.temperature:.3f}")
    click.echo()
    open_console().print(table)
    if guessing is not None:
        click.echo(f"\n{guessing}")


def _calibration(info: "CalibrationInfo | None") -> str:
    if info is None:
        return "none"
    graded = "graded" if info.labelled else "not graded"
    retrained = "; the model was trained on them since" if info.retrained else ""
    return f"{counted(info.images, 'image')} of {counted(info.groups, 'fruit', 'fruit')}, {graded}{retrained}"


def _speed(bundle: "Bundle") -> str:
    from mango_grader.runtime.inference.host_profile import HostProfile

    profile = HostProfile.read(bundle)
    if profile is None:
        return f"not measured yet; run mango-grader bench --model {bundle.path}"
    alone = (one for one in profile.latency if one.workers == 1)
    times = ", ".join(f"{one.precision} {one.whole()['p50']:.3g} ms" for one in alone)
    decoding = profile.decoding[-1].ms_per_megapixel if profile.decoding else None
    decoded = "" if decoding is None else f"; decoding {decoding:.2g} ms a megapixel"
    return f"all stages {times} an image in one thread{decoded} (bench of {profile.measured[:10]})"


def _auto_precision(bundle: "Bundle") -> dict[str, str]:
    """Return what `--precision auto` takes, and why; a bundle whose calibration data are damaged says that."""
    from mango_grader.runtime.inference.precision import PrecisionChoice, choose_precision

    try:
        choice = choose_precision(bundle)
    except BundleError as error:
        choice = PrecisionChoice("none", str(error))
    return asdict(choice)


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"


def _provenance(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where a model came from; agreement between its forms is described in words, with the key in brackets."""
    for key, value in values.items():
        says = _SAYS.get(key)
        try:
            yield says(value) if says else (_NAMES.get(key, key), _plain(value))
        except (KeyError, TypeError, ValueError):  # a bundle may claim anything
            yield key, _plain(value)


def _says_parity(found: Mapping[str, Any]) -> tuple[str, str]:
    largest = max(map(float, (*found["staged"], *found["full"])))
    images = counted(int(found["images"]), "image")
    says = f"the exported file agrees with the trained network to {largest:.1g} in probability on {images} (parity)"
    return "as trained", says


def _says_int8(found: Mapping[str, Any]) -> tuple[str, str]:
    images, largest = counted(int(found["images"]), "image"), max(map(float, found["largest_change"]))
    says = f"the same grade for {_shares(found['same_answer'])} of {images} (same_answer), exit by exit"
    return "int8 against fp32", f"{says}; probabilities differ by up to {largest:.2g}"


def _shares(values: Iterable[Any]) -> str:
    return ", ".join(f"{100 * float(value):.1f} %" for value in values)


_SAYS: Mapping[str, Callable[[Any], tuple[str, str]]] = {
    "parity": _says_parity,
    "int8": _says_int8,
    "test_accuracy": lambda shares: ("test accuracy", f"{_shares(shares)}, exit by exit"),
}


def _plain(value: Any) -> str:
    """Return nested provenance on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(_plain, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
