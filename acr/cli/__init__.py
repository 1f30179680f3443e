"""The command line: one command a module, wired in main."""
