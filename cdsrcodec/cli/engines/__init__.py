"""What converts the files of a batch: this machine, or a Ray cluster; one outcome for each file."""
