"""What inference.py measures: commands that start, photos that are graded, and networks beside others."""
