"""Where tasks run: this machine's processes, or a cluster; callers hand over tasks and take results as they come."""

from mango_grader.executors.base import Crashed, Executor, Needs, Task
from mango_grader.executors.cluster import RayExecutor
from mango_grader.executors.local import LocalExecutor
from mango_grader.executors.site import HERE, Site

__all__ = ["HERE", "Crashed", "Executor", "LocalExecutor", "Needs", "RayExecutor", "Site", "Task"]
