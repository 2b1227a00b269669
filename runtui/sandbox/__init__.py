"""The embedded Graph: an ASGI app on SQLite that answers as Microsoft Graph does.

Invariant: it imports the domain alone, so that it stays a second opinion on the wire, not a mirror of our client.
"""
