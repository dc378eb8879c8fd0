"""A run on disk and on screen: the store of arrays and manifests, the metrics sink, the progress
display. Nothing here knows how learning works."""
