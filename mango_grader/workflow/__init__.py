"""Whole runs: data in, run folder out. The command line is a thin layer over these functions.

`search`, `train`, `evaluate` and `demo` are commands; `start` and `finalize` are how the first two begin and end;
`run/` is what one run is made of, `distillation/` what a teacher adds, `comparison/` many runs beside one another.
`config`, `options` and `presets/` are the settings.
"""

__all__: list[str] = []
