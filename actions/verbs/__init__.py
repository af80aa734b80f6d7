"""One file per verb: an action in, the library's call with exact parameters, its effect out.

No verb retries, waits or judges; that is `perform.py` and `outcome.py`.
"""
