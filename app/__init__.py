"""The Federated Imputation Platform."""

VERSION = "0.1.0"
