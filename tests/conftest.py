"""What holds for every test."""

import hypothesis

# The machine that runs the tests may be busy: an example may take long, and that says nothing of the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")
