"""Watches the panel's own clock: what is derived from dates is only deleted while it is believed.

Everything above asks here: `services.doubt` before it deletes, `services.steady` before it takes a
silence for a death.
"""
