"""The account that work is done in: settings, clients, what is checked before anything is sent, names and prices.

Needs the extra `sagemaker`, but for settings and prices, which import nothing of it.
"""
