"""Where artefacts are kept: a folder or a bucket, with leases and a quota."""
