"""What the left side of the screen shows: the list, the form, the review, the help. One file a view."""
