"""The modules of the service, imported once for all of its processes (forked.py).

They are frozen. Otherwise each copy of the process would write to all of their memory when it
collects garbage.
"""

import gc

import service.__main__  # noqa: F401

gc.collect()
gc.freeze()
