"""What the project measures of itself, and what it found."""
