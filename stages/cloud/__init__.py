"""Training on AWS SageMaker: its settings, the account, jobs and what they cost. README.md says in which order to read.

All but settings and prices need the extra `sagemaker`.
"""
