"""Tasks whose questions are generated: the same for everybody with the same options, without a download."""
