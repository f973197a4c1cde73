"""A client for the build systems Toji and Koji, asynchronous and blocking, with the names of txkoji.

    from toji_client import Connection

    async def example():
        koji = Connection("fedora")
        task = await koji.getTaskInfo(10000)
        print(task.method, task.package, task.url)

`toji_client.blocking` has the same for scripts.
"""

import atexit

from . import _native
from .connection import Connection
from .exceptions import KojiException, KojiLoginException
from .objects import Build, Channel, Package, Task

# Threads of the library must not meet an interpreter that is being taken apart.
atexit.register(_native.shut)

__all__ = ["Build", "Channel", "Connection", "KojiException", "KojiLoginException", "Package", "Task"]
