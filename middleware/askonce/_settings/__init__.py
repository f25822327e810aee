"""What :mod:`askonce.settings` is made of.

``values``: the closed sets of words, and which of them this version lacks. ``kinds``, ``lists``:
the types that fields have, and what they are in words. ``fields``, ``backends``, ``groups``: the
fields, group by group. ``names``: what variables are called. ``layers``: where values are looked
for, and where each came from. ``problems``: what is wrong, in words. ``show``: values as text.
"""
