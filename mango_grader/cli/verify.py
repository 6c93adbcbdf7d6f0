"""`mango-grader verify`: is a model whole, and does it still answer as it did when it was made?"""

from dataclasses import asdict

import click

from mango_grader.cli.options import json_option, print_json, provider_option


@click.command(short_help="Check that a .mango model is whole and answers as it did when made.")
@click.argument("model", metavar="MODEL")
@provider_option
@json_option
@click.pass_context
def verify(ctx: click.Context, /, model: str, provider: str, as_json: bool) -> None:
    """Check all parts of MODEL, a .mango file or the folder of a finished run, and recompute its golden answers.

    Exit code 1 says that something does not hold.
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
