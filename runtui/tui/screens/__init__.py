"""The screens, and the views that several features share: the list, the form, the review, the questions."""
