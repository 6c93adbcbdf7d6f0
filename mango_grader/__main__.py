"""`python -m mango_grader` is the command `mango-grader`."""

from mango_grader.cli import main

if __name__ == "__main__":
    main(prog_name="mango-grader")
