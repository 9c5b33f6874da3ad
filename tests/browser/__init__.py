"""The pages in a real browser, against the real platform and the sandbox."""
