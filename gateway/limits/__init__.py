"""What a client may ask for, and how much of it: documents, cost, persisted documents, load.

A document is looked at once (`documents`), before it is validated; what an operation costs (`cost`) is a formula that
is made once, and computed with the variables of each request.
"""
