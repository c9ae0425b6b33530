"""Local AWS: moto's server in a process of its own, with what it lacks repaired in the open."""
