"""The places and questions about why it failed: causes, and one person across all workflows."""
