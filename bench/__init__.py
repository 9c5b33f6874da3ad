"""Measurements. They are no tests: nothing here passes or fails by a clock."""
