"""What a person does to understand problems and to work them off: causes, people, the queue."""
