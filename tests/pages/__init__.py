"""The pages over plain HTTP: what a browser without JavaScript gets."""
