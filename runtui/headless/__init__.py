"""The commands: the services of runtui without a screen."""
