"""How fast whole training loops run, surefoot's and its peers', in one run on one machine."""
