"""Polychromic LoRA itself: objective, diversity D, group sampling, trainer. Needs torch, transformers and peft only."""
