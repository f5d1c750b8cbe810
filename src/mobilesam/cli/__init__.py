"""The command line: one file a command, the package itself imported only when a command runs."""
