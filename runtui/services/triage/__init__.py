"""What people remember of runs: kept with the journal, mirrored into the store, handed to the next shift."""
