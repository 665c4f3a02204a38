"""The study's typed settings: what `config.yaml` and its overlays may say."""
