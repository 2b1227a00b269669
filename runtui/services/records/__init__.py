"""What is kept of changes: the journal of those that were sent, and the drafts of those that were not."""
