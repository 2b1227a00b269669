"""Why it failed: one run opened, causes over all runs, what to check, one person across all
workflows, and how each workflow fares. Pure."""
