"""The dialect of the Michigan family of imputation servers: Cloudgene, generation 3.

`adapter` binds the parts: `client` calls, `discovery` reads the live form, `forms` fills it, `listing` walks the account's
jobs, `statuses` and `outputs` read job JSON, `submitting` judges the answer to a submission, `tokens` reads tokens.
"""
