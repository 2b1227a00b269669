"""Actions, their keys, and `[keys]` of config.toml, without a screen."""
