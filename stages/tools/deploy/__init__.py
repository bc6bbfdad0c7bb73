"""The best trained model as a service: packaged, served on this machine, or behind an endpoint on SageMaker."""
