"""The simple dialect: the contract of the platform's original design."""
