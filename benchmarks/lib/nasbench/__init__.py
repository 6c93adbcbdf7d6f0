"""Replays on NAS-Bench-201's table: its accuracies, and who asks for them."""
