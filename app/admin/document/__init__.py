"""The organization as one file: read from the Administration API, compared, and brought to it again.

It works through the API alone, as an owner's own program would, so checks, roles and the audit log are the
API's. `python -m app.admin` is its command line. Nothing of this is part of the gateway.
"""
