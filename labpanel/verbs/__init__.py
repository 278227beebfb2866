"""One declaration for each verb, and what follows from it: the API's route, the command line's
words, the OpenAPI document and the check of who may.

A verb stands beside what it acts on, in `<app>/verbs/`: a module for the first word (`hold.py`),
or a package of modules for a word with several verbs (`store/add.py`). A module names its verbs
in `VERBS`, and in `COMMANDS` what of them a terminal does otherwise than they say.
"""
