"""The parts that views are made of. One file a widget."""
