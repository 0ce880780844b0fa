"""A plugin that fails while it is imported: it must be listed as broken, and spoil nothing else."""

raise RuntimeError("this laboratory made a mistake")
