"""The embedded world: synthetic corpora with the mess of real ones, and a tiny Qwen3 trained on a broad one.

It exists so that the whole study runs from nothing on a laptop, as a positive control (`skewed`) and a null
control (`matched`). It is no evidence about real data or large models.
"""
