"""What a run is: enums, times, fields, drafts, filters and rows. Pure: no I/O, no HTTP, no terminal."""
