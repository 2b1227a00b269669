"""The action registry, the names of keys, `[keys]` of config.toml, and the lines of the help; no screen is imported."""
