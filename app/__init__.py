"""The Federated Imputation Platform."""
