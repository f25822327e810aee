"""What an LLM call means: routes, keys, completeness, both shapes, error bodies. Pure.

A request's way through this room::

    registry.Router    path           -> Route: the call type that answers there, or not ours
    scope.sift         header fields  -> who asks, what is keyed, what the client says of caching
    parse.parse        body bytes     -> members and the ``cache`` object, or why it is unreadable
    CallType.ask       members        -> Ask (with the body's digest), a reason to bypass, not ours
    keys.KeyMaker      all of these   -> the physical key

Nothing here does I/O, reads a clock or knows a server: bytes and values in, values out.
"""
