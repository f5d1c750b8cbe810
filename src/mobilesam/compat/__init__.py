"""Other packages' interfaces over this one: change one import line, keep the rest."""
