"""Many runs at once: the form, the review and what became of each."""
