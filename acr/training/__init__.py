"""Fits the orchestrator's model: prompts and outcomes in, one GGUF file out (extra: train)."""
