"""Every table: data frame in, data frame of text out, ours beside the published numbers."""
