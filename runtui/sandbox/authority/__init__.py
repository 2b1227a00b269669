"""The sandbox's sign-in service: the parts of Microsoft Entra's sign-in service that a sign-in library needs.

Invariant: it opens no socket and logs nothing; `server` passes requests to it. It never asks for a password.
"""
