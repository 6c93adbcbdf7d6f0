"""What a user would pick instead: trainings in our workflow and in environments of their own, and their summary."""
