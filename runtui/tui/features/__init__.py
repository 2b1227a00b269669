"""What a person can do, one file a feature, with the screen that it alone opens."""
