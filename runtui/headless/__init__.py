"""The commands: the services of runtui without a screen. Each returns the exit code of the process."""
