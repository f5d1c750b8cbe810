"""One file a format: `convert(networks, folder, precision=...)` writes encoder and decoder into a folder."""
