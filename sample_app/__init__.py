"""The sample app: an OpenAI-compatible API and a page, with one line of askonce in front of them.

Start reading at :mod:`sample_app.app`. Run it from the repository's root::

    python -m sample_app
"""
