"""The embedded Graph: an ASGI app on SQLite that answers as Microsoft Graph does.

Invariant: it imports the domain, `errors` and `unused_modules`, and no client code: it checks the client independently.
"""
