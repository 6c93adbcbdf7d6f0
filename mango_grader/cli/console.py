"""The console on which commands print text and tables."""

from rich.console import Console

_NATURAL = 100_000  # columns: wider than any table of ours


def open_console(*, wide: bool = False) -> Console:
    """Return a console that prints text as it stands.

    Tables fit a terminal's width. In a pipe or a file, which has none, they are as wide as what they hold: nothing is
    folded or cut; `wide` asks for the same on a terminal, which then wraps the lines itself.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if wide or not console.is_terminal:
        console.width = _NATURAL
    return console
