"""Peers of parts of the conveyor."""
