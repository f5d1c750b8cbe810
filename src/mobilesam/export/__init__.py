"""From the networks in `nn` to files that other runtimes read. Imports torch."""
