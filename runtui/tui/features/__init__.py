"""What a person can do, one file a feature, with the place that it alone opens."""
