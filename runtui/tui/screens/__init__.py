"""What the left side of the screen shows for more than one feature: the list, the form, the questions."""
