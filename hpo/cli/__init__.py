"""The command line: one file a group of verbs; each parses, calls one function and renders what it returns."""
