"""The command line: a document from a file, compiled, explained or run once, with no server."""
