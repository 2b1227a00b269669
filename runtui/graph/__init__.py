"""Microsoft Graph over HTTP. httpx is imported here and nowhere else."""
