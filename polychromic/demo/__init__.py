"""The embedded world: synthetic corpora with the mess of real ones, and a tiny Qwen3 trained on a broad corpus.

With it the whole study runs on a laptop without downloads: as a positive control, where the training targets are of
mostly one reading, and without that skew, where little can be gained. It is not evidence about real data or large
models.
"""
