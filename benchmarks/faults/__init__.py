"""Faults of every kind, one a round, at a random moment of a run of a suite: what is lost, and is it made again?

``python -m benchmarks.faults [--rounds 100] [--seed 0] [--only FAULT,...] [--keep FOLDER]``

A round runs a suite of 20 tiny cells in a fresh store with one fault in it, then runs the same command again, with
no option more. Afterwards the scores must be those of a store that nobody disturbed, and again once the index was made
anew; nothing may lie about in the store but the folder that the round damaged, which ``db check`` must name and
``prune`` remove; and no run may have been begun more often than the fault accounts for. Prints a line a fault. The
exit code is 1 if a round was not like that; its number as ``--seed`` repeats it alone (``--rounds 1 --only FAULT``).
It needs Linux.
"""
