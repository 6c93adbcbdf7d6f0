"""mango-grader: search, train and run compact anytime classifiers for your own fruit."""

__version__ = "0.1.0"
