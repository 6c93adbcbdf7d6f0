"""What close_the_gap.py tries, and the pages that it writes."""
