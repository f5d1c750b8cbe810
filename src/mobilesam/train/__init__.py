"""Training: what it needs is loaded when it is asked for, torch among it."""
