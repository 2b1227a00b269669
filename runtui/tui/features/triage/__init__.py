"""Helps a person to understand problems and to work them off: causes, people, the queue."""
