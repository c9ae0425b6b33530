"""`make demo`: a stack goes up on this machine and real requests pass through every part of it."""
