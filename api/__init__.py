"""The HTTP interface: a thin, typed face of the serving and erasure rooms."""
