"""GA4GH Workflow Execution Service 1.0 and 1.1: several servers, one contract, many deviations.

The document of them is docs/adapters.md.
"""
