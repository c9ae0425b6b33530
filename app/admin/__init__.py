"""OpenAI's Administration API: /v1/organization, spoken to by the official SDK's `client.admin.organization`.

A resource is one module with its calls (`CALLS`); `offered.py` lists the modules, `administration.py` routes.
"""
