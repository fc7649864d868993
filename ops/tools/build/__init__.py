"""
From the sources to what Lambda runs: artifacts, and SAM CLI around them.

    make build ─▶ sam validate --lint ─▶ sam build ─▶ ops/tools/build/Makefile, for each function and layer
                                                          └─▶ artifact.py: lock ─▶ uv ─▶ prune ─▶ compile

SAM's own pip builder is not used: it downloads wheels for another architecture without looking at their
hashes, leaves no byte code, and gives every function the libraries of all.
"""
