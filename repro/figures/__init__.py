"""Every figure: data frame in, matplotlib figure out. Knows no files and no training."""
