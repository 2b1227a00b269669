"""Why and for whom, without a screen: causes, workflows, one person or user, the hand-over, the watch."""
