"""Results in SQL.

``engine.connect`` opens a database; ``store`` is the only writer, ``queries`` and ``named`` are the only readers;
``migrate`` creates and upgrades the tables; ``views`` holds the SQL views that other programs read.
"""
