"""The sandbox's sign-in authority: what Microsoft Entra's sign-in service does, as far as a sign-in library needs it.

Invariant: it opens no socket and logs nothing; `server` carries its requests. No password is asked for anywhere.
"""
