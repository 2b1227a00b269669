"""The face. Textual is imported here and nowhere else."""
