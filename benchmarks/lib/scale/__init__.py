"""Work on several processes and machines: rates, and the memory of a whole tree of processes."""
