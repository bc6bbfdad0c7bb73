"""What a trained model shows of its inductive bias."""
