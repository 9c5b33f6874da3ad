"""The job engine: short, idempotent steps that take a job from its submission to its results.

What is due stands in PostgreSQL. A step takes the job in hand (a lease, fenced by its step number), talks to the remote outside
any transaction, and writes what follows by compare-and-set. Whoever is killed at any line loses nothing: the lease
runs out and the next process goes on from what was committed.

submission    one account's due jobs, one after the other: slot, credential, intent, upload
recovery      after a lost answer: is the job at the remote?
polling       one look at all jobs of an account
collection    results, each fetched once
cancellation  stop a job here and at the remote
changes       the one way in which a job is written
leases        keeping a step in hand while it works
wakeup        what makes held jobs due again
upkeep        waiting limits, health of services, housekeeping
"""
