"""Tests of the sandbox imputation server, over HTTP."""
