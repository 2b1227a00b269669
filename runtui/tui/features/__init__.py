"""What a person can do across screens, one file a feature: it opens its screens itself."""
