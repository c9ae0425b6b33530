"""The gateway under cProfile, from its start on without the imports: python -m benchmarks.profiled FILE"""

import cProfile
import sys
import time

from app.__main__ import main

if __name__ == "__main__":
    # Processor time: on a machine with few cores a write that wakes the reader would look dear by the clock.
    profile = cProfile.Profile(time.process_time)
    code = profile.runcall(main)
    profile.dump_stats(sys.argv[1])
    sys.exit(code)
