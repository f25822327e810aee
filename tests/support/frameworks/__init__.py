"""The smallest app with a chat route in each framework, with the cache added as its users add it.

Every module has ``create_app(model)``. The routes are the same everywhere:

================================  ===========================================================
``POST /v1/chat/completions``     the model answers, in JSON or as an event stream
``POST /forms/chat/completions``  the same answer, on a path that is no provider's
``GET /hello``                    a greeting with a running number
``POST /gates/{name}``            lets a held stream go on
================================  ===========================================================
"""
