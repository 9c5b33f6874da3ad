"""Tests of the structure check, the test data and the accuracy figures."""
