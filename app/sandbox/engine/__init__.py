"""The work of an imputation server: input VCFs and options in, result files and messages out.

Everything here is plain blocking code without HTTP, meant to run in a thread; whoever calls it
brings a ``Reporter`` for the messages and a ``Cancellation`` to stop it.
"""
