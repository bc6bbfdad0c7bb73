"""Train on AWS SageMaker: ensure that a job is there, wait for it, fetch what it made.

A job's name follows from its content: a running job is attached to, and a finished one's artifact taken, before another is paid for.
"""
