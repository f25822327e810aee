"""What HTTP caching means for us. Pure: no I/O, no clock, and no word about LLM calls.

A request's ``Cache-Control`` and ``cache`` object become
:class:`~askonce.policy.directives.Directives`;
:func:`~askonce.policy.decide.decide` weighs them against a stored entry;
:func:`~askonce.policy.storing.keep` says whether a new answer is stored and for how long;
:mod:`~askonce.policy.status` tells the client what happened.

The vocabulary is HTTP's (RFC 9111 for directives and freshness, RFC 5861 for stale windows,
RFC 9211 for ``Cache-Status``). Reusing the answer to a POST is ours, not the RFC's. Two rules hold
throughout: a caller tightens what the operator set and never loosens it, and whatever cannot be
read counts as the strictest thing that it could have meant.
"""
