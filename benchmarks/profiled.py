"""The gateway under cProfile, from its start on without the imports: python -m benchmarks.profiled FILE"""

import cProfile
import sys

from app.__main__ import main

if __name__ == "__main__":
    profile = cProfile.Profile()
    code = profile.runcall(main)
    profile.dump_stats(sys.argv[1])
    sys.exit(code)
