"""Tests of the platform; the folders mirror app/."""
