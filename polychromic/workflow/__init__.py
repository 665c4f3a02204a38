"""What the Snakemake workflow needs besides the library: stages, stamps, checks and summaries."""
