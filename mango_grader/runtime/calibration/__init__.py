"""Calibration without torch: temperatures and thresholds are fitted, and a bundle is given fresh calibration fruit."""

__all__: list[str] = []
