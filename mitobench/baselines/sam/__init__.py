"""Segment Anything as a baseline: model, prompts, zero-shot prediction, fine-tuning. Nothing is imported here."""
