"""One typed function per job: ingest, evaluate, publish, erase, serve, demo; and the command line over them."""
