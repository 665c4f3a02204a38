"""The sandbox in which programs that a model wrote are run."""
